// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/clock.h"
#include "base/utf8.h"

namespace msp::log {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"bug", "error", "warn", "hint", "info", "debug"};
// syslog(3) priorities: a hint is a notice.
constexpr std::array<char, 6> kPriorities = {'3', '3', '4', '5', '6', '7'};

std::atomic<Level> threshold = Level::kInfo;
std::atomic<Level> wanted = Level::kBug;
std::atomic<Sink*> chosen = nullptr;

/// One write for a line: those of several threads and processes stay apart. What cannot be written is lost.
void to_stderr(Level level, const std::string& text) {
  const std::string time = under_journald() ? "" : timestamp_ms(SystemClock().realtime_ns()) + " ";
  const std::string line = time + prefix(level) + text + "\n";
  while (::write(STDERR_FILENO, line.data(), line.size()) < 0 && errno == EINTR) {
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
Level level() { return threshold.load(std::memory_order_relaxed); }
Level most_detailed() { return std::max(level(), wanted.load(std::memory_order_relaxed)); }
bool enabled(Level level) { return level <= most_detailed(); }

void set_sink(Sink* sink, Level wants) {
  chosen = sink;
  wanted = wants;
}

// sd-daemon: device and inode are named.
bool under_journald() {
  static const bool is = [] {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat st{};
    return stream != nullptr && ::fstat(STDERR_FILENO, &st) == 0 &&
           std::string_view(stream) == fmt::format("{}:{}", st.st_dev, st.st_ino);
  }();
  return is;
}

char priority(Level level) { return kPriorities[static_cast<std::size_t>(level)]; }

std::string prefix(Level level) {
  return under_journald() ? fmt::format("<{}>", priority(level)) : fmt::format("{:<5} ", to_string(level));
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

void write(Level level, std::string_view message) { write(level, message, Fields()); }

void write(Level level, std::string_view message, std::initializer_list<JournalField> fields) {
  write(level, message, Fields(fields));
}

void write(Level level, std::string_view message, Fields fields) {
  if (!enabled(level)) {
    return;
  }
  const std::string text = escape(message);
  if (Sink* sink = chosen) {
    sink->write(level, text, fields);
  } else {
    to_stderr(level, text);
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
