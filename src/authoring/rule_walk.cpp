// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_walk.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <set>

#include "authoring/identity_checks.h"

namespace msp::authoring {
namespace {

constexpr std::size_t kIdentityWeight = 1;
constexpr std::size_t kUnassignedWeight = 50;
constexpr std::size_t kQueryWeight = 100;
constexpr std::size_t kPathWeight = 10'000;

/// The last bearer of each name (E.2.4).
template <class T>
std::map<std::string_view, const T*> by_name(const std::vector<T>& items) {
  std::map<std::string_view, const T*> out;
  for (const T& item : items) {
    out[item.name] = &item;
  }
  return out;
}

std::size_t unmet(const std::vector<Check>& checks) {
  return static_cast<std::size_t>(std::ranges::count(checks, false, &Check::met));
}

std::size_t distance_of(const std::vector<Check>& privilege_checks) {
  std::size_t out = 0;
  for (const Check& check : privilege_checks) {
    out += check.met ? 0 : check.missing * kPathWeight + (check.missing == 0 ? kQueryWeight : 0);
  }
  return out;
}

}  // namespace

RuleWalk::RuleWalk(const RuleItem& item, const identity::ConnectionIdentity& caller, const policy::RequestView& request,
                   Matcher matcher)
    : caller_(caller), reading_(matcher, request) {
  // Rules that lack one of the four sections are none at all (E.2.3).
  if (!item.rules || !item.rules->privileges || !item.rules->roles || !item.rules->identities ||
      !item.rules->role_assignments) {
    return;
  }
  const auto last = by_name(*item.rules->privileges);
  for (const RulePrivilege& privilege : *item.rules->privileges) {
    if (last.at(privilege.name) == &privilege) {
      const std::vector<Check> checks = reading_.compare(privilege);
      const bool met = unmet(checks) == 0;
      privileges_.push_back({.rule = &privilege, .distance = distance_of(checks), .met = met});
      any_privilege_met_ = any_privilege_met_ || met;
    }
  }
  read_roles(*item.rules->roles, *item.rules->identities, *item.rules->role_assignments);
  add_cursors(*item.rules->roles);
}

void RuleWalk::read_roles(const std::vector<RuleRole>& roles, const std::vector<RuleIdentity>& all,
                          const std::vector<RuleAssignment>& assignments) {
  const auto identities = by_name(all);
  std::map<const RuleIdentity*, std::array<std::size_t, 2>> misses;  // of one who is allowed, and denied
  for (const auto& [name, identity] : identities) {
    misses[identity] = {unmet(compare_identity(*identity, caller_, false)),
                        unmet(compare_identity(*identity, caller_, true))};
  }
  for (const RuleRole& role : roles) {
    roles_[role.name].name = role.name;
  }
  std::set<std::tuple<const Role*, const RuleIdentity*, bool, bool>> known;
  std::size_t place = 0;
  for (const RuleAssignment& assignment : assignments) {
    const auto role = roles_.find(assignment.role);
    for (const std::string& name : assignment.identities) {
      const auto found = identities.find(name);
      const bool deny = assignment.openmsp.deny;
      const bool dry_run = assignment.openmsp.dry_run;
      if (role != roles_.end() && found != identities.end() &&
          known.emplace(&role->second, found->second, deny, dry_run).second) {
        role->second.nearest.push_back({.identity = found->second,
                                        .deny = deny,
                                        .dry_run = dry_run,
                                        .misses = misses.at(found->second)[deny ? 1 : 0],
                                        .place = place++});
      }
    }
  }
  for (auto& [name, role] : roles_) {
    const auto near = [](const Holder& one) { return std::tuple(one.misses, one.deny || one.dry_run, one.place); };
    role.denials_first = role.nearest;
    std::ranges::sort(role.nearest, {}, near);
    std::ranges::sort(role.denials_first, {}, [&](const Holder& one) { return std::tuple(!one.denies(), near(one)); });
  }
}

void RuleWalk::add_cursors(const std::vector<RuleRole>& roles) {
  std::map<std::string_view, std::uint32_t> numbers;
  for (std::uint32_t i = 0; i < privileges_.size(); ++i) {
    numbers[privileges_[i].rule->name] = i;
  }
  std::vector<bool> held(privileges_.size(), false);
  for (const auto& [name, rule] : by_name(roles)) {
    const Role& role = roles_.at(name);
    std::set<std::uint32_t> once;
    for (const std::string& privilege : rule->privileges) {
      const auto number = numbers.find(privilege);
      if (role.nearest.empty() || number == numbers.end() || !once.insert(number->second).second) {
        continue;
      }
      held[number->second] = true;
      count_ += role.nearest.size();
      if (privileges_[number->second].met) {
        any_denies_ = any_denies_ || role.denials_first.front().denies();
        any_allows_ = any_allows_ || std::ranges::any_of(role.nearest, &Holder::allows);
      }
      push({.privilege = number->second, .role = &role, .at = 0});
    }
  }
  for (std::uint32_t i = 0; i < privileges_.size(); ++i) {
    if (!held[i]) {
      ++count_;
      push({.privilege = i, .role = nullptr, .at = 0});
    }
  }
}

const RuleWalk::Holder* RuleWalk::holder(const Cursor& cursor) const {
  if (cursor.role == nullptr) {
    return nullptr;
  }
  return &(privileges_[cursor.privilege].met ? cursor.role->denials_first : cursor.role->nearest)[cursor.at];
}

std::size_t RuleWalk::distance(const Cursor& cursor) const {
  const Holder* const who = holder(cursor);
  return privileges_[cursor.privilege].distance + (who == nullptr ? kUnassignedWeight : who->misses * kIdentityWeight);
}

std::tuple<bool, std::size_t, bool, std::uint32_t, std::size_t> RuleWalk::key(const Cursor& cursor) const {
  const Holder* const who = holder(cursor);
  const bool decides = who != nullptr && privileges_[cursor.privilege].met && who->denies();
  return {!decides, distance(cursor), who != nullptr && (who->deny || who->dry_run), cursor.privilege,
          who == nullptr ? 0 : who->place};
}

void RuleWalk::push(const Cursor& cursor) {
  heap_.push_back(cursor);
  std::ranges::push_heap(heap_, std::greater<>(), [this](const Cursor& one) { return key(one); });
}

bool RuleWalk::next() {
  if (now_.role != nullptr && now_.at + 1 < now_.role->nearest.size()) {
    push({.privilege = now_.privilege, .role = now_.role, .at = now_.at + 1});
  }
  now_ = {};
  if (heap_.empty()) {
    return false;
  }
  std::ranges::pop_heap(heap_, std::greater<>(), [this](const Cursor& one) { return key(one); });
  now_ = heap_.back();
  heap_.pop_back();
  return true;
}

bool RuleWalk::is_met_dry_run() const {
  const Holder* const who = holder(now_);
  return who != nullptr && who->dry_run && who->misses == 0 && privileges_[now_.privilege].met;
}

RuleTrace RuleWalk::rule() const {
  const Privilege& privilege = privileges_[now_.privilege];
  RuleTrace out;
  out.privilege = privilege.rule->name;
  out.privilege_met = privilege.met;
  out.distance = distance(now_);
  out.checks = reading_.compare(*privilege.rule);
  if (const Holder* const who = holder(now_)) {
    out.role = now_.role->name;
    out.identity = who->identity->name;
    out.assigned = true;
    out.deny = who->deny;
    out.dry_run = who->dry_run;
    out.identity_met = who->misses == 0;
    std::ranges::move(compare_identity(*who->identity, caller_, who->deny), std::back_inserter(out.checks));
  }
  return out;
}

}  // namespace msp::authoring
