// SPDX-License-Identifier: Apache-2.0
// Where the lines of msp-agent, msp-host and mspctl go: entries with fields in the journal, where it has stderr and was
// connected; else stderr, by the logging library; and a log file beside. Called on the main thread; set up before
// threads start. What cannot be written is lost. msp-worker links none of it: its lines go to the monitor.
#pragma once

#include <string>

#include "base/log.h"
#include "base/result.h"

namespace msp::log {

/// Lines go to stderr from here on, which the journal may read all the same.
void use_stderr();
/// To the journal, if stderr is a stream of its; where it cannot be reached, to stderr.
void use_journal();
/// Waits until the log file has all lines, then back to stderr, for the last words of a program: the journal looks up
/// whose an entry is when it reads it, and of a process that has ended it cannot tell the unit. Only while no other
/// thread logs.
void leave_journal();

/// From here on lines up to `level` go to a file in the existing agent's form as well, by a thread of its own. What
/// cannot be written there is lost, with one line about it on the way that all lines go.
Result<void> also_to_file(const std::string& path, Level level);

}  // namespace msp::log
