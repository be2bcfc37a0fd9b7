// SPDX-License-Identifier: Apache-2.0
// Settings of the whole process.
// Called once by each main; harden_process() before anything secret is read.
// Failure names the call; the caller must not go on with secrets.
#pragma once

#include "base/result.h"

namespace msp {

/// No core files, no ptrace by the same user, /proc/self owned by root.
Result<void> harden_process();

/// SCHED_BATCH for this thread and those it starts: waking up, it waits for whoever runs to pause (docs/decisions/
/// batch-scheduling.md). Best effort.
void never_interrupt_others();

/// Gives back what only starting up needed: freed heap, and the pages of programs and libraries that were read. What is
/// still used comes back from the page cache by itself. Best effort; any thread, once start-up is over.
void release_startup_memory();

/// Gives memory that the heap holds unused back to the kernel, if it is more than `bytes`. May take milliseconds.
void release_unused_memory(std::size_t bytes);

}  // namespace msp
