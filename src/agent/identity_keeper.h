// SPDX-License-Identifier: Apache-2.0
// Keeps the data thread told of what rules ask about callers: executables are held, cgroups are looked up, both off the
// data loop.
// Owned by App, control thread; the want_*() are called by the data loop.
// Nothing fails: what cannot be held or looked up matches nothing, and the log says why.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/data_thread.h"
#include "base/loop.h"
#include "identity/cgroups.h"
#include "identity/exe_pins.h"
#include "policy/snapshot.h"

namespace msp::agent {

class IdentityKeeper {
 public:
  /// `root` and `cgroup`: what paths in rules are relative to. All references must outlive this.
  IdentityKeeper(Loop& loop, DataThread& data, identity::KernelFiles& files, std::string root, std::string cgroup);
  IdentityKeeper(const IdentityKeeper&) = delete;
  IdentityKeeper& operator=(const IdentityKeeper&) = delete;
  ~IdentityKeeper() = default;

  /// From the next connection on; call it before the rules are installed.
  void follow(const policy::Snapshot& rules);
  /// Any thread: has the executables that rules name looked at again; the ticket that tells when that has happened.
  std::uint64_t want_executables();
  /// The data loop's thread: the same for one cgroup.
  std::uint64_t want_cgroup(std::uint64_t id);

 private:
  void refresh_pins();
  void publish_cgroups();
  Task<> watch();

  Loop& loop_;
  DataThread& data_;
  identity::ExePins pins_;
  std::atomic<std::uint64_t> pin_tickets_ = 0;
  std::atomic<bool> pins_wanted_ = false;  ///< a refresh is posted and has not begun
  identity::KernelCgroups cgroup_reader_;
  identity::Cgroups cgroups_{cgroup_reader_};
  std::atomic<std::uint64_t> cgroup_tickets_ = 0;
  bool cgroups_changed_ = false;  ///< publish_cgroups is posted
  std::optional<Task<>> watch_;
};

}  // namespace msp::agent
