// SPDX-License-Identifier: Apache-2.0
// Finds those identities of a rule set that a caller may be, without looking at the others.
// Built once while a rule set is compiled, immutable afterwards; any thread.
// Nothing can fail: what it leaves out misses a field that it asks for, what it finds is still to be matched.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "identity/connection_identity.h"
#include "policy/exe_path.h"

namespace msp::policy {

struct IdentityRule;

class IdentityIndex {
 public:
  /// So many are looked through faster than an index is asked.
  static constexpr std::size_t kFew = 16;

  /// Each identity stands under the one of its fields that tells it best from the others.
  explicit IdentityIndex(std::span<const IdentityRule> identities);

  /// Calls visit(index of an identity) for each that `caller` may be, in no order.
  template <class Visit>
  void each_candidate(const identity::ConnectionIdentity& caller, Visit visit) const {
    const auto visit_all = [&](Field field, std::string_view text) { std::ranges::for_each(find(field, text), visit); };
    visit_all(kUser, caller.user_name);
    visit_all(kProcess, caller.process_name);
    for (const std::string& group : caller.group_names) {
      visit_all(kGroup, group);
    }
    if (caller.cgroup) {
      visit_all(kUnit, caller.cgroup->unit);
      visit_all(kContainer, std::string_view(caller.cgroup->container).substr(0, kContainerDigits));
      each_ancestor(caller.cgroup->path, [&](std::string_view path) { visit_all(kCgroup, path); });
    }
    for (const std::string& path : caller.exe_rule_paths) {
      const auto found = by_exe_.find(component_hash(path));
      if (found != by_exe_.end()) {
        std::ranges::for_each(found->second, visit);
      }
    }
    std::ranges::for_each(others_, visit);
  }

 private:
  enum Field : std::uint8_t { kUser, kProcess, kGroup, kUnit, kContainer, kCgroup, kFieldCount };
  /// A rule names at least so many of a container's.
  static constexpr std::size_t kContainerDigits = 12;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using ByText = std::unordered_map<std::string, std::vector<std::uint32_t>, Hash, std::equal_to<>>;
  class Builder;

  /// f(path), f(its parent) and so on, up to "/".
  template <class F>
  static void each_ancestor(std::string_view path, F f) {
    for (; path.size() > 1; path = path.substr(0, path.rfind('/'))) {
      f(path);
    }
    f("/");
  }
  std::span<const std::uint32_t> find(Field field, std::string_view text) const;

  std::array<ByText, kFieldCount> by_text_;
  std::unordered_map<std::size_t, std::vector<std::uint32_t>> by_exe_;  ///< by component_hash()
  std::vector<std::uint32_t> others_;                                   ///< ask for nothing
};

}  // namespace msp::policy
