// SPDX-License-Identifier: Apache-2.0
#include "proxy/places.h"

#include <algorithm>

namespace msp::proxy {
namespace {

// No user has this uid: those whom nobody knows, also with a record (a kernel thread's says uid 0), are one user
// together.
constexpr std::uint32_t kNobodyKnown = ~0U;

std::uint32_t user_of(const identity::ConnectionIdentity& caller) { return caller.known ? caller.uid : kNobodyKnown; }

// Root is bounded by the whole only: whoever can be root can stop the agent as well.
bool is_root(const identity::ConnectionIdentity& caller) { return caller.known && caller.elevated; }

}  // namespace

// A quarter; where there is more than one place, at least one, and never all.
std::uint32_t Places::for_root(std::uint32_t max_connections) {
  return std::min(std::max(max_connections / 4, 1U), max_connections - 1);
}

Places::Room Places::room_for(const identity::ConnectionIdentity& caller) const {
  if (!is_root(caller)) {
    const auto of_user = taken_by_user_.find(user_of(caller));
    if (of_user != taken_by_user_.end() && of_user->second >= of_user_) {
      return Room::kNoneForUser;
    }
    if (taken_by_others_ >= of_others_) {
      return Room::kNoneInAll;
    }
  }
  return taken_ < in_all_ ? Room::kThereIs : Room::kNoneInAll;
}

void Places::take(const identity::ConnectionIdentity& caller) {
  ++taken_;
  if (!is_root(caller)) {
    ++taken_by_others_;
    ++taken_by_user_[user_of(caller)];
  }
}

void Places::give_back(const identity::ConnectionIdentity& caller) {
  --taken_;
  if (!is_root(caller)) {
    --taken_by_others_;
    const auto of_user = taken_by_user_.find(user_of(caller));
    if (of_user != taken_by_user_.end() && --of_user->second == 0) {
      taken_by_user_.erase(of_user);
    }
  }
}

}  // namespace msp::proxy
