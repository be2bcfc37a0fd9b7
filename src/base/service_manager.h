// SPDX-License-Identifier: Apache-2.0
// What a service tells systemd and gets from it: the protocols of sd_notify(3) and sd_listen_fds(3).
// Owned by the assembly on its control thread; made once, before other threads, from the environment (root's).
// Not under systemd every call succeeds and does nothing. A message that cannot be sent is an error, never a wait.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace msp {

class ServiceManager {
 public:
  struct Stored {
    std::string name;
    Fd fd;
  };

  /// Reads NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES; what is addressed to
  /// another process counts as absent. Owns the descriptors that were passed from then on: call it once a process.
  static ServiceManager from_environment();

  bool present() const { return !socket_path_.empty(); }
  /// What the manager kept for us over a restart; nothing the second time.
  std::vector<Stored> take_stored() { return std::exchange(stored_, {}); }
  /// It ends us when it has not heard "WATCHDOG=1" for this long.
  std::optional<std::uint64_t> watchdog_ms() const { return watchdog_ms_; }

  /// Lines "NAME=value", without a newline at the end.
  Result<void> notify(std::string_view lines) const { return send(lines, -1); }
  /// The manager keeps a duplicate until the service is stopped, and passes it to the next start.
  Result<void> store(std::string_view name, const Fd& fd) const;
  Result<void> forget(std::string_view name) const;
  /// Returns when the manager has worked off all that was sent before: at most `max_ms` later, then with an error.
  Result<void> barrier(int max_ms) const;

 private:
  Result<void> send(std::string_view lines, int fd) const;

  std::string socket_path_;  ///< '@' in front: abstract
  std::optional<std::uint64_t> watchdog_ms_;
  std::vector<Stored> stored_;
};

/// Becomes `program`, which is passed these descriptors in the same way, whether there is a manager or not. Comes back
/// only with an error; then the descriptors are closed.
Error take_the_place_of_this(const std::string& program, const std::vector<std::string>& arguments,
                             std::vector<ServiceManager::Stored> passed);

}  // namespace msp
