// SPDX-License-Identifier: Apache-2.0
// An identity source for tests: says what it was told to say.
// Owned by the test; same thread as the code under test.
// Fails only where the test has set an error.
#pragma once

#include <functional>
#include <optional>

#include "identity/source.h"

namespace msp::identity {

class FakeIdentitySource final : public IdentitySource {
 public:
  ConnectionIdentity answer;                                  ///< what identify() returns; unknown unless set
  std::optional<Error> error;                                 ///< returned instead when set
  std::function<bool(ConnectionIdentity&)> on_settle;         ///< what settle() does; without it everything is settled
  std::function<bool(ConnectionIdentity&)> on_settle_cgroup;  ///< the same for settle_cgroup()
  unsigned asked = 0;

  Result<ConnectionIdentity> identify(int /*accepted_fd*/) override {
    ++asked;
    if (error) {
      return Error(*error);
    }
    return ConnectionIdentity(answer);
  }
  bool settle(ConnectionIdentity& identity) const override { return !on_settle || on_settle(identity); }
  bool settle_cgroup(ConnectionIdentity& identity) override { return !on_settle_cgroup || on_settle_cgroup(identity); }
};

/// A known identity of an ordinary process, to be altered by the test.
inline ConnectionIdentity fake_identity(std::uint32_t uid, Ipv4Endpoint destination = kImdsEndpoint) {
  ConnectionIdentity out;
  out.known = true;
  out.unknown = Unknown::kNone;
  out.uid = out.euid = out.gid = out.egid = uid;
  out.elevated = uid == 0;
  out.groups = {uid};
  out.tgid = 4242;
  out.destination = destination;
  out.exe_path = "/usr/bin/curl";
  out.process_name = "curl";
  out.comm = "curl";
  return out;
}

}  // namespace msp::identity
