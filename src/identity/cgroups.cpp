// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroups.h"

#include "base/log.h"

namespace msp::identity {

CgroupTable::Found CgroupTable::find(std::uint64_t id, std::shared_ptr<const CgroupPlace>& place) const {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) {
    return Found::kUnknown;
  }
  if (entry->second.found == Found::kPlace) {
    place = entry->second.place;
  }
  return entry->second.found;
}

void Cgroups::want(bool places, bool units) {
  if (units && !units_wanted_ && !reader_.has_units()) {
    log::warn(
        "rules name systemd units, but the unified cgroup hierarchy holds none: such rules match nobody. On a machine "
        "that boots with the hybrid hierarchy, boot with systemd.unified_cgroup_hierarchy=1, or name users and "
        "executables instead");
  }
  units_wanted_ = units;
  table_.idle_ = !places;
  if (!places) {
    table_.entries_.clear();
    order_.clear();
  }
}

void Cgroups::look_up(std::uint64_t id, std::uint64_t ticket) {
  table_.ticket_ = ticket;
  if (table_.idle_ || table_.entries_.contains(id)) {
    return;
  }
  CgroupTable::Entry entry;
  if (auto path = reader_.path_of(id); !path) {
    complain(path.error());
    entry.found = CgroupTable::Found::kFailed;
  } else if (*path) {
    entry = {.found = CgroupTable::Found::kPlace,
             .place = std::make_shared<const CgroupPlace>(place_in(**std::move(path)))};
  }
  if (order_.size() == kMost) {
    table_.entries_.erase(order_.front());
    order_.pop_front();
  }
  table_.entries_.emplace(id, std::move(entry));
  order_.push_back(id);
}

bool Cgroups::forget_failures() {
  const auto failed = [this](std::uint64_t id) {
    return table_.entries_.at(id).found == CgroupTable::Found::kFailed && table_.entries_.erase(id) != 0;
  };
  return std::erase_if(order_, failed) != 0;
}

void Cgroups::complain(const Error& error) {
  if (std::string text = error.text(); text != complaint_) {
    complaint_ = std::move(text);
    log::write(error);
  }
}

}  // namespace msp::identity
