// SPDX-License-Identifier: Apache-2.0
// Who may hold how many client connections at a time: one user, nobody known, all but root, all.
// Owned by the data plane, on its loop; counts and nothing else.
// Cannot fail. Full means that the caller is told so, or not heard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "identity/connection_identity.h"

namespace msp::proxy {

class Places {
 public:
  /// Both above zero.
  Places(std::uint32_t max_connections, std::uint32_t max_connections_per_user)
      : in_all_(max_connections),
        of_others_(max_connections - for_root(max_connections)),
        of_user_(max_connections_per_user) {}

  enum class Room : std::uint8_t { kThereIs, kNoneForUser, kNoneInAll };
  Room room_for(const identity::ConnectionIdentity& caller) const;
  /// Where there is room; give_back() takes the same caller.
  void take(const identity::ConnectionIdentity& caller);
  void give_back(const identity::ConnectionIdentity& caller);
  std::size_t taken() const { return taken_; }
  /// But root, of whom none is counted apart: those who hold a place now, so never more than there are places.
  std::size_t users() const { return taken_by_user_.size(); }

 private:
  static std::uint32_t for_root(std::uint32_t max_connections);

  std::size_t in_all_;
  std::size_t of_others_;  ///< of all but root; at least one
  std::size_t of_user_;
  std::size_t taken_ = 0;
  std::size_t taken_by_others_ = 0;
  std::unordered_map<std::uint32_t, std::uint32_t> taken_by_user_;  ///< of the others; by real uid
};

}  // namespace msp::proxy
