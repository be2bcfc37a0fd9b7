// SPDX-License-Identifier: Apache-2.0
// Where the identity of an accepted connection comes from.
// Owned by the assembly, called by one data loop; never blocks: one system call per connection.
// An Error means that the descriptor or the kernel is unusable; a connection without a record is a value.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "identity/cgroups.h"
#include "identity/connection_identity.h"
#include "identity/exe_pins.h"

namespace msp::identity {

class IdentitySource {
 public:
  virtual ~IdentitySource() = default;
  /// `accepted_fd`: a socket just accepted from one of our listeners; it stays the caller's.
  virtual Result<ConnectionIdentity> identify(int accepted_fd) = 0;
  /// Looks again at the executable of an identity with an exe_ticket. False: the pins have not caught up with it yet;
  /// it is then worth another look when they change.
  virtual bool settle(ConnectionIdentity& /*identity*/) const { return true; }
  /// The same for the place of an identity's cgroup, which is asked for if nobody knows it. True without a place: it is
  /// gone, or cannot be looked up now.
  virtual bool settle_cgroup(ConnectionIdentity& /*identity*/) { return true; }
};

/// Asks the kernel by getsockopt(MSP_SOL, MSP_SO_RECORD): no map, no capability, no bpf().
class SocketIdentitySource final : public IdentitySource {
 public:
  /// Called on the loop's thread for an id that has no name in the table; must not block (NameResolver::want_*).
  struct OnMiss {
    std::function<void(std::uint32_t uid)> user;
    std::function<void(std::uint32_t gid)> group;
    /// For an executable that no pin knows: has the pins looked at again, returns the ticket for that.
    std::function<std::uint64_t()> executable;
    /// For a cgroup that the table does not know: has it looked up, returns the ticket for that.
    std::function<std::uint64_t(std::uint64_t id)> cgroup;
  };

  SocketIdentitySource() = default;
  explicit SocketIdentitySource(OnMiss on_miss) : on_miss_(std::move(on_miss)) {}

  /// The loop's thread; holds from the next connection on.
  void set_names(std::shared_ptr<const NameTable> names) { names_ = std::move(names); }
  void set_pins(std::shared_ptr<const PinTable> pins) { pins_ = std::move(pins); }
  void set_cgroups(std::shared_ptr<const CgroupTable> cgroups) { cgroups_ = std::move(cgroups); }
  Result<ConnectionIdentity> identify(int accepted_fd) override;
  bool settle(ConnectionIdentity& identity) const override;
  bool settle_cgroup(ConnectionIdentity& identity) override;

 private:
  PinTable::Found find_executable(ConnectionIdentity& out) const;

  std::shared_ptr<const NameTable> names_;
  std::shared_ptr<const PinTable> pins_;
  std::shared_ptr<const CgroupTable> cgroups_;
  OnMiss on_miss_;
};

}  // namespace msp::identity
