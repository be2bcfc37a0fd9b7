// SPDX-License-Identifier: Apache-2.0
#include "worker/identity_desk.h"

#include "identity/names.h"

namespace msp::worker {
namespace {

constexpr std::size_t kMostNamesAsked = 4096;

}  // namespace

IdentityDesk::IdentityDesk(Send send)
    : send_(std::move(send)),
      source_({.user = [this](std::uint32_t uid) { want_name(uid, false); },
               .group = [this](std::uint32_t gid) { want_name(gid, true); },
               .executable = [this] { return want_executables(); },
               .cgroup = [this](std::uint64_t id) { return want_place(id); }}) {}

void IdentityDesk::want_name(std::uint32_t id, bool group) {
  const std::uint64_t key = (std::uint64_t{group} << 32) | id;
  if (names_asked_.size() < kMostNamesAsked && names_asked_.insert(key).second &&
      !send_(link::WantName{.id = id, .group = group})) {
    names_asked_.erase(key);
  }
}

std::uint64_t IdentityDesk::want_executables() {
  ++executables_ticket_;
  if (executables_asked_ == 0) {
    ask_for_executables();
  }
  return executables_ticket_;
}

void IdentityDesk::ask_for_executables() {
  if (send_(link::WantExecutables{.ticket = executables_ticket_})) {
    executables_asked_ = executables_ticket_;
  }
}

std::uint64_t IdentityDesk::want_place(std::uint64_t cgroup) {
  (void)send_(link::WantPlace{.cgroup = cgroup, .ticket = ++places_ticket_});
  return places_ticket_;
}

void IdentityDesk::take(const link::Names& names) {
  auto table = std::make_shared<identity::NameTable>();
  for (const auto& user : names.users) {
    table->add_user(user.id, user.name);
  }
  for (const auto& group : names.groups) {
    table->add_group(group.id, group.name);
  }
  source_.set_names(std::move(table));
  names_asked_.clear();
}

void IdentityDesk::take(link::Pins pins) {
  std::vector<identity::PinTable::Entry> entries;
  entries.reserve(pins.pins.size());
  for (auto& pin : pins.pins) {
    entries.push_back({.path = std::move(pin.path), .pin = {.inode = pin.inode, .since_ns = pin.since_ns, .held = {}}});
  }
  source_.set_pins(std::make_shared<const identity::PinTable>(std::move(entries), pins.ticket, pins.idle));
  if (executables_asked_ != 0 && executables_asked_ <= pins.ticket) {
    executables_asked_ = 0;
    if (executables_ticket_ > pins.ticket) {
      ask_for_executables();
    }
  }
}

void IdentityDesk::take(link::Places places) {
  using Found = identity::CgroupTable::Found;
  identity::CgroupTable::Entries entries;
  entries.reserve(places.entries.size());
  for (auto& entry : places.entries) {
    identity::CgroupTable::Entry& known = entries[entry.cgroup];
    if (entry.found == link::Places::Found::kPlace) {
      known = {.found = Found::kPlace,
               .place = std::make_shared<const identity::CgroupPlace>(identity::place_in(std::move(entry.path)))};
    } else {
      known.found = entry.found == link::Places::Found::kGone ? Found::kGone : Found::kFailed;
    }
  }
  source_.set_cgroups(std::make_shared<const identity::CgroupTable>(std::move(entries), places.ticket, places.idle));
}

}  // namespace msp::worker
