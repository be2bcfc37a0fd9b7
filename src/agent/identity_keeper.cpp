// SPDX-License-Identifier: Apache-2.0
#include "agent/identity_keeper.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace msp::agent {
namespace {

// An upgrade of a program that a rule names is noticed within this time, or when its first connection comes; a cgroup
// that could not be looked up is tried again.
constexpr std::uint64_t kWatchMs = 2'000;

/// Every path that a rule of any service names, once.
std::vector<std::string> executables_of(const policy::Snapshot& snapshot) {
  std::set<std::string> paths;
  for (const auto& rules : snapshot.rules) {
    if (rules) {
      const auto named = rules->exe_paths();
      paths.insert(named.begin(), named.end());
    }
  }
  return {paths.begin(), paths.end()};
}

}  // namespace

IdentityKeeper::IdentityKeeper(Loop& loop, DataLink& data, identity::KernelFiles& files, std::string root,
                               std::string cgroup)
    : loop_(loop), data_(data), pins_(files, std::move(root)), cgroup_reader_(std::move(cgroup)) {
  watch_.emplace(watch());
}

void IdentityKeeper::follow(const policy::Snapshot& rules) {
  pins_.want(executables_of(rules));
  refresh_pins();
  const auto any = [&](bool (policy::RuleSet::*asks)() const) {
    return std::ranges::any_of(rules.rules, [&](const auto& set) { return set && ((*set).*asks)(); });
  };
  cgroups_.want(any(&policy::RuleSet::names_cgroups), any(&policy::RuleSet::names_units));
  publish_cgroups();
}

void IdentityKeeper::want_executables(std::uint64_t ticket) {
  pin_ticket_ = ticket;
  if (!std::exchange(pins_wanted_, true)) {
    loop_.post([this] { refresh_pins(); });
  }
}

void IdentityKeeper::want_cgroup(std::uint64_t id, std::uint64_t ticket) {
  cgroups_.look_up(id, ticket);
  // One table for all that have been asked for by now.
  if (!std::exchange(cgroups_changed_, true)) {
    loop_.post([this] { publish_cgroups(); });
  }
}

void IdentityKeeper::refresh_pins() {
  pins_wanted_ = false;
  (void)pins_.refresh();
  data_.set_pins(pins_.table(pin_ticket_));
}

void IdentityKeeper::publish_cgroups() {
  cgroups_changed_ = false;
  data_.set_cgroups(cgroups_.table());
}

Task<> IdentityKeeper::watch() {
  for (;;) {
    co_await loop_.sleep_until(loop_.after_ms(kWatchMs));
    if (pins_.refresh()) {
      data_.set_pins(pins_.table(pin_ticket_));
    }
    if (cgroups_.forget_failures()) {
      publish_cgroups();
    }
  }
}

}  // namespace msp::agent
