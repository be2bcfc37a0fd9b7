// SPDX-License-Identifier: Apache-2.0
// Keeps the worker told of what rules ask about callers: executables are held, cgroups are looked up, both here, since
// that takes files and privileges.
// Owned by App, control thread.
// Nothing fails: what cannot be held or looked up matches nothing, and the log says why.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/data_link.h"
#include "base/loop.h"
#include "identity/cgroups.h"
#include "identity/exe_pins.h"
#include "policy/snapshot.h"

namespace msp::agent {

class IdentityKeeper {
 public:
  /// `root` and `cgroup`: what paths in rules are relative to. All references must outlive this.
  IdentityKeeper(Loop& loop, DataLink& data, identity::KernelFiles& files, std::string root, std::string cgroup);
  IdentityKeeper(const IdentityKeeper&) = delete;
  IdentityKeeper& operator=(const IdentityKeeper&) = delete;
  ~IdentityKeeper() = default;

  /// From the next connection on; call it before the rules are installed.
  void follow(const policy::Snapshot& rules);
  /// The worker's wish: has the executables that rules name looked at again; a later table has the ticket.
  void want_executables(std::uint64_t ticket);
  /// The same for one cgroup.
  void want_cgroup(std::uint64_t id, std::uint64_t ticket);

 private:
  void refresh_pins();
  void publish_cgroups();
  Task<> watch();

  Loop& loop_;
  DataLink& data_;
  identity::ExePins pins_;
  std::uint64_t pin_ticket_ = 0;  ///< the newest that was asked with
  bool pins_wanted_ = false;      ///< a refresh is posted and has not begun
  identity::KernelCgroups cgroup_reader_;
  identity::Cgroups cgroups_{cgroup_reader_};
  bool cgroups_changed_ = false;  ///< publish_cgroups is posted
  std::optional<Task<>> watch_;
};

}  // namespace msp::agent
