// SPDX-License-Identifier: Apache-2.0
#include "content/scheduled_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/crypto.h"

namespace msp::content {

bool is_event_type(std::string_view text) {
  constexpr std::array<std::string_view, 5> kTypes = {"Freeze", "Reboot", "Redeploy", "Preempt", "Terminate"};
  return std::find(kTypes.begin(), kTypes.end(), text) != kTypes.end();
}

Result<std::string> ScheduledEvents::add(const std::string& vm_id, ScheduledEvent event) {
  OfOne& of = machines_[vm_id];
  if (of.events.size() == kMostForOne) {
    return config_error(fmt::format("there are {} events already", kMostForOne), "end some of them");
  }
  auto id = random_guid();
  if (!id) {
    return id;
  }
  event.id = *id;
  of.events.push_back(std::move(event));
  ++of.incarnation;
  return id;
}

bool ScheduledEvents::approve(const std::string& vm_id, const std::vector<std::string>& ids) {
  const auto found = machines_.find(vm_id);
  if (found == machines_.end()) {
    return false;
  }
  std::vector<ScheduledEvent*> meant;
  for (const std::string& id : ids) {
    const auto event = std::find_if(found->second.events.begin(), found->second.events.end(),
                                    [&](const ScheduledEvent& each) { return each.id == id; });
    if (event == found->second.events.end()) {
      return false;
    }
    meant.push_back(&*event);
  }
  for (ScheduledEvent* event : meant) {
    found->second.incarnation += event->started ? 0 : 1;
    event->started = true;
  }
  return !meant.empty();
}

bool ScheduledEvents::end(const std::string& vm_id, std::string_view id) {
  const auto found = machines_.find(vm_id);
  if (found == machines_.end() ||
      std::erase_if(found->second.events, [&](const ScheduledEvent& event) { return event.id == id; }) == 0) {
    return false;
  }
  ++found->second.incarnation;
  return true;
}

const ScheduledEvents::OfOne& ScheduledEvents::at(const std::string& vm_id, std::int64_t now_seconds) {
  static const OfOne kNone;
  const auto found = machines_.find(vm_id);
  if (found == machines_.end()) {
    return kNone;
  }
  for (ScheduledEvent& event : found->second.events) {
    if (!event.started && event.not_before <= now_seconds) {
      event.started = true;
      ++found->second.incarnation;
    }
  }
  return found->second;
}

}  // namespace msp::content
