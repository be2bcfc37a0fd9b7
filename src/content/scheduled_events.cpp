// SPDX-License-Identifier: Apache-2.0
#include "content/scheduled_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/crypto.h"
#include "base/json.h"
#include "base/json_fields.h"

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
  const auto found = machines_.find(vm_id);
  if (found == machines_.end()) {
    return kept(vm_id);
  }
  for (ScheduledEvent& event : found->second.events) {
    if (!event.started && event.not_before <= now_seconds) {
      event.started = true;
      ++found->second.incarnation;
    }
  }
  return found->second;
}

const ScheduledEvents::OfOne& ScheduledEvents::kept(const std::string& vm_id) const {
  static const OfOne kNone;
  const auto found = machines_.find(vm_id);
  return found == machines_.end() ? kNone : found->second;
}

std::string events_record(const ScheduledEvents::OfOne& of) {
  json::Writer writer;
  writer.begin_object().field("incarnation", of.incarnation).key("events").begin_array();
  for (const ScheduledEvent& event : of.events) {
    writer.begin_object().field("id", event.id).field("type", event.type).field("source", event.source);
    writer.field("description", event.description).field("notBefore", event.not_before);
    writer.field("durationSeconds", event.duration_seconds).field("started", event.started).end_object();
  }
  return std::move(writer.end_array().end_object()).take();
}

Result<ScheduledEvents::OfOne> read_events_record(std::string_view text) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto tree = json::parse(text);
  if (!tree) {
    return tree.error();
  }
  json::Problems problems(text, "events");
  json::ObjectReader root(*tree, "", problems);
  ScheduledEvents::OfOne of;
  of.incarnation = static_cast<std::uint64_t>(root.integer("incarnation", {.min = 1, .max = kMost}));
  root.each_object("events", [&](json::ObjectReader& item) {
    ScheduledEvent event{.id = item.string("id"),
                         .type = item.string("type"),
                         .source = item.string("source"),
                         .description = item.string("description"),
                         .not_before = item.integer("notBefore", {.min = 0, .max = kMost}),
                         .duration_seconds = item.integer("durationSeconds", {.min = -1, .max = kMost}),
                         .started = item.boolean("started")};
    if (!is_event_type(event.type) || of.events.size() == ScheduledEvents::kMostForOne) {
      item.fail("type", "is no event that this version makes");
    }
    of.events.push_back(std::move(event));
  });
  root.finish();
  if (auto good = problems.result(); !good) {
    return std::move(good).error();
  }
  return of;
}

}  // namespace msp::content
