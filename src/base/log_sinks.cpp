// SPDX-License-Identifier: Apache-2.0
#include "base/log_sinks.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cerrno>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/background.h"
#include "base/clock.h"
#include "base/rolling_log.h"

namespace msp::log {
namespace {

constexpr std::array<std::string_view, 6> kFieldLevels = {"ERROR", "ERROR", "WARN", "INFO", "INFO", "DEBUG"};

constexpr std::size_t kMostLinesWaiting = 10'000;

/// What is written is written by its own thread: a disk that stands still must not stop who has something to say.
struct FieldFile {
  FieldFile(RollingLog of_file, Level most) : log(std::move(of_file)), level(most) {}
  RollingLog log;  // the thread's
  Level level;
  bool failed = false;  // the thread's
  std::mutex lock;      // of posting: lines come from several threads
  bool standing = false;
  Background writer{"log file", kMostLinesWaiting};
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
  void leave_journal() {
    if (file_) {
      file_->writer.finish();  // it may have something to say of it
    }
    journal_.reset();
  }
  void also_to_file(RollingLog log, Level level) { file_ = std::make_unique<FieldFile>(std::move(log), level); }

 private:
  void to_journal_or_stderr(Level level, const std::string& text, Fields fields) {
    if (!to_journal(level, text, fields)) {
      stderr_.log(spdlog::level::info, "{}{}", prefix(level), text);
    }
  }
  bool to_journal(Level level, const std::string& text, Fields fields);
  void to_file(Level level, const std::string& text);
  void not_kept(const std::string& why);

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
  const auto line = [this, level, text, now = SystemClock().realtime_ns()] {
    auto done = file_->log.write(kFieldLevels[static_cast<std::size_t>(level)], text, now);
    if (!std::exchange(file_->failed, !done) && !done) {
      not_kept(done.error().text());
    }
  };
  bool first = false;
  {
    const std::lock_guard held(file_->lock);
    const bool posted = file_->writer.post(line);
    first = !std::exchange(file_->standing, !posted) && !posted;
  }
  if (first) {
    not_kept("the disk stands still, and lines are lost");
  }
}

void ProgramSink::not_kept(const std::string& why) {
  to_journal_or_stderr(Level::kWarn, escape("the log file is not kept up to date: " + why), {});
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
