// SPDX-License-Identifier: Apache-2.0
#include "authoring/diff_pairs.h"

#include <algorithm>
#include <memory>

#include "policy/identity_match.h"

namespace msp::authoring {
namespace {

std::vector<policy::IdentityRule> compiled(const CallerTable& table) {
  std::vector<policy::IdentityRule> out;
  out.reserve(table.identities().size());
  for (const RuleIdentity* const identity : table.identities()) {
    const IdentityExtension& place = identity->openmsp;
    policy::IdentityRule& rule = out.emplace_back();
    rule.user = identity->user_name;
    rule.group = identity->group_name;
    rule.process = identity->process_name;
    rule.exe = identity->exe_path;
    if (place.unit || place.cgroup || place.container) {
      rule.place = std::make_shared<const policy::PlaceRule>(
          policy::PlaceRule{.unit = place.unit, .cgroup = place.cgroup, .container = place.container});
    }
  }
  return out;
}

}  // namespace

DiffPairs::DiffPairs(Sides sides, const CallerTable& table)
    : sides_(sides), identities_(compiled(table)), by_field_(identities_) {}

void DiffPairs::set_request(Privileges met) {
  for (std::size_t side = 0; side < sides_.size(); ++side) {
    request_[side] = {.indexed = false, .met = std::move(met[side]), .privileges = {}, .granted = {}};
  }
}

/// Not before somebody asks: most requests tell nobody apart.
void DiffPairs::index(std::uint32_t side) {
  Request& request = request_[side];
  if (request.indexed) {
    return;
  }
  request.indexed = true;
  for (const std::uint32_t privilege : request.met) {
    const std::uint32_t kind = sides_[side]->kind(privilege);
    std::vector<std::uint32_t>& alike = request.privileges[kind];
    alike.push_back(privilege);
    if (alike.size() > 1) {
      continue;
    }
    for (const std::uint32_t identity : sides_[side]->grants_of_kind(kind).allowed_names) {
      request.granted[sides_[side]->caller(identity)].emplace_back(kind, identity);
    }
  }
}

std::vector<std::uint32_t> DiffPairs::callers_that_are(const identity::ConnectionIdentity& caller) const {
  std::vector<std::uint32_t> out;
  by_field_.each_candidate(caller, [&](std::uint32_t i) {
    if (policy::match_identity(identities_[i], caller).matched) {
      out.push_back(i);
    }
  });
  std::ranges::sort(out);
  const auto rest = std::ranges::unique(out);
  out.erase(rest.begin(), rest.end());
  return out;
}

void DiffPairs::add(std::uint32_t side, const std::vector<std::uint32_t>& callers, std::vector<Pair>& out) {
  index(side);
  const Request& request = request_[side];
  for (const std::uint32_t caller : callers) {
    const auto found = request.granted.find(caller);
    if (found == request.granted.end()) {
      continue;
    }
    for (const auto& [kind, identity] : found->second) {
      for (const std::uint32_t privilege : request.privileges.at(kind)) {
        out.push_back({.side = side, .privilege = privilege, .identity = identity});
      }
    }
  }
}

std::vector<Pair> DiffPairs::of(const identity::ConnectionIdentity& caller) {
  const std::vector<std::uint32_t> callers = callers_that_are(caller);
  std::vector<Pair> out;
  add(0, callers, out);
  add(1, callers, out);
  return out;
}

}  // namespace msp::authoring
