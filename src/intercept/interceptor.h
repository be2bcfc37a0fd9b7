// SPDX-License-Identifier: Apache-2.0
// The user side of bpf/: loads and pins the hooks, adopts those of an earlier run, and says what they shall do.
// One owner, the control thread; mark_own() from any thread. Destroying it leaves everything attached: a dead agent
// keeps the gate shut. On failure nothing that was attached before is detached; the error names cause and remedy.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"
#include "identity/kernel_file.h"
#include "intercept/socket_marker.h"

namespace msp::intercept {

/// A destination that is ours. `redirect` false: known, but left alone (protocol.md L.30: never latched).
struct Guarded {
  Ipv4Endpoint destination;
  bool redirect = false;
  std::uint8_t listener = 0;  ///< index into Settings::listeners
};

/// What the hooks do; replaced as a whole. At most MSP_MAX_LISTENERS and MSP_MAX_GUARDED elements.
struct Settings {
  std::vector<Ipv4Endpoint> listeners;
  std::vector<Guarded> guarded;
};

struct Config {
  /// cgroup v2 directory whose processes are intercepted; empty: the root of the unified hierarchy.
  std::string cgroup_path;
  /// cgroup v2 directory in which the listeners are made; empty: this process's own, or its slice (lasting_cgroup()).
  std::string agent_cgroup_path;
  /// Directory for links and maps; must lie on a mounted bpf file system.
  std::string pin_directory = "/sys/fs/bpf/openmsp";
};

/// Sums over all CPUs since the maps were made (they outlive the agent).
struct Counters {
  std::uint64_t redirected = 0;
  std::uint64_t direct = 0;
  std::uint64_t refused_storage = 0;
  std::uint64_t refused_squatter = 0;
  std::uint64_t refused_flood = 0;
  std::uint64_t refused_device = 0;
  std::uint64_t refused_datagram = 0;
  std::uint64_t bind_refused = 0;
  std::uint64_t record_lost = 0;
};

/// One attached program, for status.
struct Attached {
  std::string name;  ///< "connect4", "sockops", …
  std::uint32_t link_id = 0;
  std::uint32_t program_id = 0;
  std::uint64_t cgroup_id = 0;  ///< 0: attached no more, somebody has detached it or the cgroup is gone
  bool pinned = false;          ///< the pin of that name is this very link
};

class Interceptor final : public SocketMarker, public identity::KernelFiles {
 public:
  /// Loads the programs and attaches them, or takes over the pinned ones of an earlier run: maps are reused, programs
  /// are replaced atomically. Pins of another contract version that may not be are an error, and stay. Redirection goes
  /// on as the pinned settings say until set_settings() is called.
  static Result<std::unique_ptr<Interceptor>> open(const Config& config);
  ~Interceptor() override;

  /// True if open() took over the maps of an earlier run.
  bool adopted() const;
  Result<void> set_settings(const Settings& settings);
  Result<void> mark_own(int fd) override;
  Result<identity::KernelFile> look_at(int fd) override;
  Result<Counters> counters() const;
  Result<std::vector<Attached>> attached() const;
  /// Pins again what somebody has unpinned: without its pins the gate opens with the agent's death. Hooks that were
  /// detached stay so. True: something was. To be called now and then.
  Result<bool> pin_again();
  /// The cgroup directories in use (after the defaults were found).
  const std::string& cgroup_path() const;
  const std::string& agent_cgroup_path() const;

  /// A marked, non-blocking listener. The caller must live in the agent's cgroup: a socket belongs to the cgroup in
  /// which it was made, and only there does the kernel answer for the record.
  Result<Fd> open_listener(const Ipv4Endpoint& at, int backlog);

 private:
  struct Impl;
  explicit Interceptor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// That open() could take over what is pinned there, or finds nothing. Changes nothing; an agent may be running.
Result<void> check_hooks(const std::string& pin_directory);

/// Detaches and unpins everything below `pin_directory`: the gate is open afterwards. Nothing there is no error.
Result<void> uninstall(const std::string& pin_directory);

}  // namespace msp::intercept
