// SPDX-License-Identifier: Apache-2.0
#include "policy/identity_index.h"

#include <cstring>
#include <numeric>
#include <set>

#include "policy/exe_path.h"
#include "policy/ruleset.h"

namespace msp::policy {
namespace {

using namespace identity_pair;

std::vector<Demand> demands_of(const IdentityRule& rule, UnknownFields unknown) {
  std::vector<Demand> out;
  const auto demand = [&](std::string_view key, std::string_view value) {
    out.push_back({.key = std::string(key), .values = {std::string(value)}});
  };
  if (rule.user && (unknown & kUnknownUser) == 0) {
    demand(kUser, *rule.user);
  }
  if (rule.process) {
    demand(kProcess, *rule.process);
  }
  if (rule.group && (unknown & kUnknownGroups) == 0) {
    demand(kGroup, *rule.group);
  }
  if (rule.exe) {
    demand(kExe, ExeText(*rule.exe).view());
  }
  if (!rule.place || (unknown & kUnknownPlace) != 0) {
    return out;
  }
  if (rule.place->unit) {
    demand(kUnit, *rule.place->unit);
  }
  if (rule.place->container) {
    demand(kContainer, *rule.place->container);
  }
  if (rule.place->cgroup) {
    demand(kCgroup, *rule.place->cgroup);
  }
  return out;
}

std::vector<std::uint32_t> all_of(std::span<const IdentityRule> identities) {
  std::vector<std::uint32_t> out(identities.size());
  std::iota(out.begin(), out.end(), 0U);
  return out;
}

}  // namespace

identity_pair::ExeText::ExeText(std::string_view path) {
  const std::size_t hash = component_hash(path);
  std::memcpy(bytes_, &hash, sizeof bytes_);
}

IdentityIndex::IdentityIndex(std::span<const IdentityRule> identities)
    : IdentityIndex(identities, all_of(identities), 0) {}

IdentityIndex::IdentityIndex(std::span<const IdentityRule> identities, std::span<const std::uint32_t> which,
                             UnknownFields unknown)
    : found_(demands_.add(which, [&](std::uint32_t i) { return demands_of(identities[i], unknown); })) {
  std::set<std::size_t> digits;
  for (const std::uint32_t i : which) {
    if (identities[i].place && identities[i].place->container) {
      digits.insert(identities[i].place->container->size());
    }
  }
  container_digits_.assign(digits.begin(), digits.end());
  asks_for_group_ = demands_.asks_for(kGroup);
  asks_for_exe_ = demands_.asks_for(kExe);
  asks_for_place_ = demands_.asks_for(kUnit) || demands_.asks_for(kContainer) || demands_.asks_for(kCgroup);
}

bool IdentityIndex::asks_only_for(const IdentityRule& rule, UnknownFields unknown) {
  const auto is_known = [&](UnknownFields field) { return (unknown & field) == 0; };
  return !rule.process && !rule.exe && !(rule.user && is_known(kUnknownUser)) &&
         !(rule.group && is_known(kUnknownGroups)) && !(rule.place && is_known(kUnknownPlace));
}

}  // namespace msp::policy
