// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/rolling_log.h"
#include "base/utf8.h"

namespace msp::log {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"bug", "error", "warn", "hint", "info", "debug"};
// syslog(3) priorities: a hint is a notice.
constexpr std::array<char, 6> kPriorities = {'3', '3', '4', '5', '6', '7'};

std::atomic<Level> threshold = Level::kInfo;
std::optional<JournalSocket> journal;  // set once, by use_journal()

struct FieldFile {
  RollingLog log;
  Level level;
  std::mutex lock;
  bool failed = false;
};
std::unique_ptr<FieldFile> field_file;  // set once, by also_to_file()
constexpr std::array<std::string_view, 6> kFieldLevels = {"ERROR", "ERROR", "WARN", "INFO", "INFO", "DEBUG"};

/// True if stderr is the very stream that systemd connected to the journal (sd-daemon: device and inode are named).
bool under_journald() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat st{};
  return stream != nullptr && ::fstat(STDERR_FILENO, &st) == 0 &&
         std::string_view(stream) == fmt::format("{}:{}", st.st_dev, st.st_ino);
}

/// One logger a process: stderr is one, too.
spdlog::logger& logger() {
  static const bool journald = under_journald();
  static spdlog::logger instance = [] {
    spdlog::logger made("msp", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made.set_pattern(journald ? "%v" : "%Y-%m-%dT%H:%M:%S.%e %v");
    made.set_level(spdlog::level::trace);
    made.flush_on(spdlog::level::trace);
    return made;
  }();
  return instance;
}

std::string prefix(Level level) {
  static const bool journald = under_journald();
  const auto index = static_cast<std::size_t>(level);
  return journald ? fmt::format("<{}>", kPriorities[index]) : fmt::format("{:<5} ", kNames[index]);
}

bool to_journal(Level level, const std::string& text, std::initializer_list<JournalField> fields) {
  if (!journal) {
    return false;
  }
  const auto index = static_cast<std::size_t>(level);
  std::vector<JournalField> all = {{"MESSAGE", text},
                                   {"PRIORITY", std::string(1, kPriorities[index])},
                                   {"SYSLOG_IDENTIFIER", program_invocation_short_name},
                                   {"MSP_LEVEL", std::string(kNames[index])}};
  all.insert(all.end(), fields);
  return journal->send(journal_entry(all));
}

void to_field_file(Level level, const std::string& text) {
  if (!field_file || level > field_file->level) {
    return;
  }
  std::optional<Error> first;
  {
    const std::lock_guard held(field_file->lock);
    auto done = field_file->log.write(kFieldLevels[static_cast<std::size_t>(level)], text, SystemClock().realtime_ns());
    if (!std::exchange(field_file->failed, !done) && !done) {
      first = std::move(done).error();
    }
  }
  if (first) {
    const std::string what = escape("the log file is not kept up to date: " + first->text());
    if (!to_journal(Level::kWarn, what, {})) {
      logger().log(spdlog::level::info, "{}{}", prefix(Level::kWarn), what);
    }
  }
}

Level level_of(const Error& error) {
  switch (error.source) {
    case Source::kBug:
      return Level::kBug;
    case Source::kClient:
      return Level::kInfo;
    case Source::kUpstream:
    case Source::kHost:
      return Level::kWarn;
    case Source::kKernel:
    case Source::kConfig:
      return Level::kError;
  }
  return Level::kBug;
}

void write_part(const Error& error, std::string_view text) {
  if (error.code == 0) {
    write(level_of(error), text, {{"MSP_SOURCE", std::string(to_string(error.source))}});
  } else {
    write(level_of(error), text,
          {{"MSP_SOURCE", std::string(to_string(error.source))}, {"ERRNO", std::to_string(error.code)}});
  }
}

}  // namespace

std::string_view to_string(Level level) { return kNames[static_cast<std::size_t>(level)]; }

std::optional<Level> parse_level(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) {
      return static_cast<Level>(i);
    }
  }
  return std::nullopt;
}

void set_level(Level level) { threshold = level; }
bool enabled(Level level) {
  return level <= threshold.load(std::memory_order_relaxed) || (field_file && level <= field_file->level);
}

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = utf8_sequence(text, i);
    // U+0080 to U+009F are control characters, too: terminals obey some of them.
    const bool c1 = length == 2 && c == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (length != 0 && !c1 && c >= 0x20 && c != 0x7F) {
      out.append(text.substr(i, length));
      i += length;
      continue;
    }
    if (c == '\n' || c == '\t' || c == '\r') {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
    } else {
      out += fmt::format("\\x{:02x}", c);
    }
    ++i;
  }
  return out;
}

void write(Level level, std::string_view message) { write(level, message, {}); }

void write(Level level, std::string_view message, std::initializer_list<JournalField> fields) {
  if (!enabled(level)) {
    return;
  }
  std::string text = escape(message);
  to_field_file(level, text);
  if (level <= threshold.load(std::memory_order_relaxed) && !to_journal(level, text, fields)) {
    logger().log(spdlog::level::info, "{}{}", prefix(level), text);
  }
}

Result<void> also_to_file(const std::string& path, Level level) {
  auto opened = RollingLog::open(path);
  if (!opened) {
    return std::move(opened).error();
  }
  field_file = std::make_unique<FieldFile>(std::move(*opened), level);
  return {};
}

void use_journal() {
  if (under_journald()) {
    if (auto connected = JournalSocket::connect()) {
      journal = std::move(*connected);
    }
  }
}

void write(const Error& error) {
  Error plain = error;
  plain.hint.clear();
  const std::string text = plain.text();
  std::string_view rest = text;
  // A configuration error lists one problem a line (their values are escaped already). No other text may open a line.
  for (std::size_t end = rest.find('\n'); error.source == Source::kConfig && end != rest.npos; end = rest.find('\n')) {
    write_part(error, rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  write_part(error, rest);
  if (!error.hint.empty()) {
    write(Level::kHint, error.hint);
  }
}

void leave_journal() { journal.reset(); }

std::optional<std::uint64_t> RateLimit::admit(std::uint64_t now_ms) {
  if (now_ms - window_ >= interval_ms_) {
    window_ = now_ms;
    used_ = 0;
  }
  if (used_ >= burst_) {
    ++lost_;
    return std::nullopt;
  }
  ++used_;
  return std::exchange(lost_, 0);
}

}  // namespace msp::log
