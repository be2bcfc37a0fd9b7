// SPDX-License-Identifier: Apache-2.0
#include "base/log_sinks.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cerrno>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/rolling_log.h"

namespace msp::log {
namespace {

constexpr std::array<std::string_view, 6> kFieldLevels = {"ERROR", "ERROR", "WARN", "INFO", "INFO", "DEBUG"};

struct FieldFile {
  RollingLog log;
  Level level;
  std::mutex lock;
  bool failed = false;
};

class ProgramSink final : public Sink {
 public:
  ProgramSink() : stderr_("msp", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    stderr_.set_pattern(under_journald() ? "%v" : "%Y-%m-%dT%H:%M:%S.%e %v", spdlog::pattern_time_type::utc);
    stderr_.set_level(spdlog::level::trace);
    stderr_.flush_on(spdlog::level::trace);
  }

  void write(Level level, const std::string& text, Fields fields) override {
    to_file(level, text);
    if (level <= log::level()) {
      to_journal_or_stderr(level, text, fields);
    }
  }

  void use_journal() {
    if (under_journald()) {
      if (auto connected = JournalSocket::connect()) {
        journal_ = std::move(*connected);
      }
    }
  }
  void leave_journal() { journal_.reset(); }
  void also_to_file(RollingLog log, Level level) { file_ = std::make_unique<FieldFile>(std::move(log), level); }

 private:
  void to_journal_or_stderr(Level level, const std::string& text, Fields fields) {
    if (!to_journal(level, text, fields)) {
      stderr_.log(spdlog::level::info, "{}{}", prefix(level), text);
    }
  }
  bool to_journal(Level level, const std::string& text, Fields fields);
  void to_file(Level level, const std::string& text);

  spdlog::logger stderr_;
  std::optional<JournalSocket> journal_;
  std::unique_ptr<FieldFile> file_;
};

bool ProgramSink::to_journal(Level level, const std::string& text, Fields fields) {
  if (!journal_) {
    return false;
  }
  std::vector<JournalField> all = {{"MESSAGE", text},
                                   {"PRIORITY", std::string(1, priority(level))},
                                   {"SYSLOG_IDENTIFIER", program_invocation_short_name},
                                   {"MSP_LEVEL", std::string(to_string(level))}};
  all.insert(all.end(), fields.begin(), fields.end());
  return journal_->send(journal_entry(all));
}

void ProgramSink::to_file(Level level, const std::string& text) {
  if (!file_ || level > file_->level) {
    return;
  }
  std::optional<Error> first;
  {
    const std::lock_guard held(file_->lock);
    auto done = file_->log.write(kFieldLevels[static_cast<std::size_t>(level)], text, SystemClock().realtime_ns());
    if (!std::exchange(file_->failed, !done) && !done) {
      first = std::move(done).error();
    }
  }
  if (first) {
    to_journal_or_stderr(Level::kWarn, escape("the log file is not kept up to date: " + first->text()), {});
  }
}

/// One a process: stderr is one, too.
ProgramSink& sink() {
  static ProgramSink instance;
  return instance;
}

}  // namespace

void use_stderr() { set_sink(&sink()); }

void use_journal() {
  use_stderr();
  sink().use_journal();
}

void leave_journal() { sink().leave_journal(); }

Result<void> also_to_file(const std::string& path, Level level) {
  auto opened = RollingLog::open(path);
  if (!opened) {
    return std::move(opened).error();
  }
  sink().also_to_file(std::move(*opened), level);
  set_sink(&sink(), level);
  return {};
}

}  // namespace msp::log
