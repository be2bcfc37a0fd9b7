// SPDX-License-Identifier: Apache-2.0
// What the worker says, as lines of the monitor's log: its messages, and what comes by its standard error (the last
// words of one that crashes). Owned by the data link, on its thread. The worker may be somebody else's: its lines are
// marked, cut, escaped, few, and have no field but those that it may set; what is left out is counted, nothing fails.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/result.h"
#include "link/message.h"

namespace msp::agent {

class WorkerLines {
 public:
  explicit WorkerLines(Loop& loop) : loop_(loop) {}
  WorkerLines(const WorkerLines&) = delete;
  WorkerLines& operator=(const WorkerLines&) = delete;
  ~WorkerLines() = default;

  /// What becomes the next worker's standard error; it never blocks.
  Result<Fd> open_errors();
  /// The worker has ended: what it has still said is written.
  void close_errors();
  void take(const link::Line& line);

 private:
  /// False: nothing is there now, or never again.
  bool read_errors();
  void take_errors(std::string_view bytes);
  void write(log::RateLimit& limit, log::Level level, std::string_view text, log::Fields fields);

  Loop& loop_;
  log::RateLimit messages_{100, 10'000};
  log::RateLimit last_words_{100, 10'000};
  Fd errors_;
  std::optional<Watch> watch_;
  std::string begun_;  ///< of a line without an end
};

}  // namespace msp::agent
