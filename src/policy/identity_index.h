// SPDX-License-Identifier: Apache-2.0
// Finds those identities of a rule set that a caller may be, without looking at the others.
// Built once while a rule set is compiled, immutable afterwards; any thread.
// Nothing can fail: what it leaves out misses a field that it asks for, what it finds is still to be matched.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "identity/connection_identity.h"
#include "policy/demand_index.h"

namespace msp::policy {

struct IdentityRule;

/// Fields of a caller that are not known (identity_match.h, may_be), as bits.
using UnknownFields = std::uint8_t;
inline constexpr UnknownFields kUnknownUser = 1;
inline constexpr UnknownFields kUnknownGroups = 2;
inline constexpr UnknownFields kUnknownPlace = 4;

/// A caller's fields as pairs: what the index is asked with.
namespace identity_pair {
inline constexpr std::string_view kUser = "u";
inline constexpr std::string_view kProcess = "p";
inline constexpr std::string_view kGroup = "g";
inline constexpr std::string_view kExe = "e";
inline constexpr std::string_view kUnit = "s";
inline constexpr std::string_view kContainer = "c";  ///< its first digits, as many as a rule names
inline constexpr std::string_view kCgroup = "d";

/// component_hash() of a path as text: paths of the same components are equal.
class ExeText {
 public:
  explicit ExeText(std::string_view path);
  std::string_view view() const { return {bytes_, sizeof bytes_}; }

 private:
  char bytes_[sizeof(std::size_t)];
};
}  // namespace identity_pair

class IdentityIndex {
 public:
  /// So many are looked through faster than an index is asked.
  static constexpr std::size_t kFew = 16;

  /// Of all identities, by all of their fields.
  explicit IdentityIndex(std::span<const IdentityRule> identities);
  /// Of those with the numbers `which`, for callers of whom `unknown` is not known: these fields count as fitting.
  IdentityIndex(std::span<const IdentityRule> identities, std::span<const std::uint32_t> which, UnknownFields unknown);

  /// Whether a caller of whom `unknown` is not known can miss nothing that the identity asks for.
  static bool asks_only_for(const IdentityRule& rule, UnknownFields unknown);

  /// Calls visit(number of an identity) for each that `caller` may be, in no order, for some more than once.
  template <class Visit>
  void each_candidate(const identity::ConnectionIdentity& caller, Visit visit) const {
    using namespace identity_pair;
    const auto any_pair = [&](auto f) {
      if (f(kUser, caller.user_name) || f(kProcess, caller.process_name)) {
        return true;
      }
      return (asks_for_group_ && any_group(caller, f)) || (asks_for_exe_ && any_exe(caller, f)) ||
             (asks_for_place_ && caller.cgroup && any_place(*caller.cgroup, f));
    };
    demands_.visit(found_, any_pair, [&](std::uint32_t identity) {
      visit(identity);
      return false;
    });
  }

 private:
  template <class F>
  bool any_group(const identity::ConnectionIdentity& caller, F f) const {
    return std::ranges::any_of(caller.group_names,
                               [&](const std::string& group) { return f(identity_pair::kGroup, group); });
  }

  template <class F>
  bool any_exe(const identity::ConnectionIdentity& caller, F f) const {
    using namespace identity_pair;
    return std::ranges::any_of(caller.exe_rule_paths, [&](const auto& path) { return f(kExe, ExeText(path).view()); });
  }

  template <class F>
  bool any_place(const identity::CgroupPlace& place, F f) const {
    using namespace identity_pair;
    if (f(kUnit, place.unit)) {
      return true;
    }
    for (const std::size_t digits : container_digits_) {
      if (digits <= place.container.size() && f(kContainer, std::string_view(place.container).substr(0, digits))) {
        return true;
      }
    }
    // The path, its parent and so on, up to "/".
    for (std::string_view path = place.path; path.size() > 1; path = path.substr(0, path.rfind('/'))) {
      if (f(kCgroup, path)) {
        return true;
      }
    }
    return f(kCgroup, "/");
  }

  std::vector<std::size_t> container_digits_;  ///< how many of them rules name, each number once
  DemandIndex demands_;
  std::vector<std::uint32_t> found_;
  bool asks_for_group_ = false;  ///< of these a caller has many, or they cost something
  bool asks_for_exe_ = false;
  bool asks_for_place_ = false;
};

}  // namespace msp::policy
