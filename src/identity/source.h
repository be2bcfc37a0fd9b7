// SPDX-License-Identifier: Apache-2.0
// Where the identity of an accepted connection comes from.
// Owned by the assembly, called by one data loop; never blocks: one system call per connection.
// An Error means that the descriptor or the kernel is unusable; a connection without a record is a value.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "identity/connection_identity.h"

namespace msp::identity {

class IdentitySource {
 public:
  virtual ~IdentitySource() = default;
  /// `accepted_fd`: a socket just accepted from one of our listeners; it stays the caller's.
  virtual Result<ConnectionIdentity> identify(int accepted_fd) = 0;
};

/// Asks the kernel by getsockopt(MSP_SOL, MSP_SO_RECORD): no map, no capability, no bpf().
class SocketIdentitySource final : public IdentitySource {
 public:
  /// Called on the loop's thread for an id that has no name in the table; must not block (NameResolver::want_*).
  struct OnMiss {
    std::function<void(std::uint32_t uid)> user;
    std::function<void(std::uint32_t gid)> group;
  };

  SocketIdentitySource() = default;
  explicit SocketIdentitySource(OnMiss on_miss) : on_miss_(std::move(on_miss)) {}

  /// The loop's thread; holds from the next connection on.
  void set_names(std::shared_ptr<const NameTable> names) { names_ = std::move(names); }
  Result<ConnectionIdentity> identify(int accepted_fd) override;

 private:
  std::shared_ptr<const NameTable> names_;
  OnMiss on_miss_;
};

}  // namespace msp::identity
