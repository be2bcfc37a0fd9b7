// SPDX-License-Identifier: Apache-2.0
// Which pairs of privilege and identity a difference is about: of the privileges that a request meets, those that
// an assignment gives to an identity the caller has. Only diff.cpp uses it.
// Owned by one comparison; one thread. The sides must outlive it.
// Nothing fails; a caller without such an identity has no pairs.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "authoring/diff_side.h"
#include "identity/connection_identity.h"
#include "policy/identity_index.h"
#include "policy/ruleset.h"

namespace msp::authoring {

/// As one side calls it.
struct Pair {
  std::uint32_t side = 0;  ///< 0: A
  std::uint32_t privilege = 0;
  std::uint32_t identity = 0;

  auto operator<=>(const Pair&) const = default;
};

class DiffPairs {
 public:
  using Sides = std::array<const DiffSide*, 2>;
  using Privileges = std::array<std::vector<std::uint32_t>, 2>;  ///< by side

  DiffPairs(Sides sides, const CallerTable& table);

  /// From now on about a request that meets these.
  void set_request(Privileges met);
  /// Of either side: what one grants may be denied there, and pass on the other side by a default.
  std::vector<Pair> of(const identity::ConnectionIdentity& caller);

 private:
  using Granted = std::pair<std::uint32_t, std::uint32_t>;  ///< a kind of grants, and an identity of the side
  struct Request {
    bool indexed = false;
    std::vector<std::uint32_t> met;
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> privileges;  ///< by kind
    std::unordered_map<std::uint32_t, std::vector<Granted>> granted;           ///< by caller of the table
  };

  void index(std::uint32_t side);
  std::vector<std::uint32_t> callers_that_are(const identity::ConnectionIdentity& caller) const;
  void add(std::uint32_t side, const std::vector<std::uint32_t>& callers, std::vector<Pair>& out);

  Sides sides_;
  std::vector<policy::IdentityRule> identities_;  ///< of the table
  policy::IdentityIndex by_field_;
  std::array<Request, 2> request_;
};

}  // namespace msp::authoring
