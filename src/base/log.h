// SPDX-License-Identifier: Apache-2.0
// Lines for the operator. Where they go is the program's choice (log_sinks.h; the worker's go to its monitor); without
// one, to stderr. Any thread may call it; it locks and may block, so a data loop logs only what a RateLimit lets
// through. Never fails; what comes from outside cannot break a line: control characters are written as escapes.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/journal.h"
#include "base/result.h"

namespace msp::log {

/// kBug: our fault, please report. kError: something does not work until it is mended. kWarn: works, but not as it
/// should. kHint: what the user can do about the line before. kInfo: milestones. kDebug: for developers.
enum class Level : std::uint8_t { kBug, kError, kWarn, kHint, kInfo, kDebug };

/// "bug", "error", "warn", "hint", "info", "debug".
std::string_view to_string(Level level);
std::optional<Level> parse_level(std::string_view text);

/// Lines above this level are dropped (default kInfo), but for those that a sink wants all the same.
void set_level(Level level);
Level level();
/// Of all lines that are made: level(), or what a sink wants beyond it.
Level most_detailed();
bool enabled(Level level);

void write(Level level, std::string_view message);
/// With fields of the journal (docs/logs.md lists them all); elsewhere they are left out, so the message says it all.
void write(Level level, std::string_view message, std::initializer_list<JournalField> fields);
using Fields = std::span<const JournalField>;
void write(Level level, std::string_view message, Fields fields);
/// The error at the level of its source, its hint as a line of its own.
void write(const Error& error);

/// Where lines go.
class Sink {
 public:
  virtual ~Sink() = default;
  /// `text` is escaped. Called on any thread; must not log, nor throw.
  virtual void write(Level level, const std::string& text, Fields fields) = 0;
};
/// Null: stderr, a plain write for a line, with priorities where it is a stream of the journal. `wants`: lines up to it
/// are made whatever set_level() says. The sink stays. Only while no other thread logs.
void set_sink(Sink* sink, Level wants = Level::kBug);
/// What stands before a line on stderr: for the journal its priority, else the level.
std::string prefix(Level level);
/// syslog(3)'s priority, one digit.
char priority(Level level);
/// True if stderr is the very stream that systemd connected to the journal.
bool under_journald();

/// Control characters and bytes that are no UTF-8, as \n, \t, \xNN.
std::string escape(std::string_view text);

namespace detail {
template <class... A>
void format(Level level, fmt::format_string<A...> text, A&&... args) {
  if (enabled(level)) {
    write(level, fmt::format(text, std::forward<A>(args)...));
  }
}
}  // namespace detail

template <class... A>
void bug(fmt::format_string<A...> text, A&&... args) {
  detail::format(Level::kBug, text, std::forward<A>(args)...);
}
template <class... A>
void error(fmt::format_string<A...> text, A&&... args) {
  detail::format(Level::kError, text, std::forward<A>(args)...);
}
template <class... A>
void warn(fmt::format_string<A...> text, A&&... args) {
  detail::format(Level::kWarn, text, std::forward<A>(args)...);
}
template <class... A>
void hint(fmt::format_string<A...> text, A&&... args) {
  detail::format(Level::kHint, text, std::forward<A>(args)...);
}
template <class... A>
void info(fmt::format_string<A...> text, A&&... args) {
  detail::format(Level::kInfo, text, std::forward<A>(args)...);
}
template <class... A>
void debug(fmt::format_string<A...> text, A&&... args) {
  detail::format(Level::kDebug, text, std::forward<A>(args)...);
}

/// Lets through `burst` lines per interval and counts the rest. One thread.
class RateLimit {
 public:
  RateLimit(std::uint32_t burst, std::uint64_t interval_ms) : burst_(burst), interval_ms_(interval_ms) {}
  /// Nothing: drop the line, it is counted. Else: how many were dropped since the last that passed.
  std::optional<std::uint64_t> admit(std::uint64_t now_ms);

 private:
  std::uint32_t burst_;
  std::uint64_t interval_ms_;
  std::uint64_t window_ = 0;
  std::uint32_t used_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace msp::log
