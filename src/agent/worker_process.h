// SPDX-License-Identifier: Apache-2.0
// The worker as a child process: which program, which user, started and ended.
// Owned by the data link, on its thread. The kernel ends the worker when the thread that has started it ends; that is
// one of its own. What cannot be started is an Error; a worker that does not want to end is killed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace msp::agent {

struct WorkerUser {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
/// That user of the system. Without a name: `openmsp` if there is one, else a number that is nobody's.
Result<WorkerUser> worker_user(const std::string& name);

/// msp-worker beside this program, else in /usr/libexec/openmsp. It is held: over an upgrade of the files this monitor
/// goes on with the worker that it knows.
Result<Fd> open_worker_program();

class WorkerProcess {
 public:
  /// `link` becomes its descriptor 3, `errors` its standard error; it has no environment.
  static Result<WorkerProcess> start(const Fd& program, const Fd& link, const Fd& errors);
  WorkerProcess(WorkerProcess&& other) noexcept;
  WorkerProcess& operator=(WorkerProcess&&) = delete;
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  pid_t pid() const { return pid_; }
  void kill() const;
  /// Waits at most so long for it to end by itself, then kills it. How it has ended, for the log.
  std::string end(std::uint64_t patience_ms);

 private:
  class Parent;
  WorkerProcess(pid_t pid, std::unique_ptr<Parent> parent);
  pid_t pid_;
  std::unique_ptr<Parent> parent_;
};

}  // namespace msp::agent
