// SPDX-License-Identifier: Apache-2.0
#include "gateway/kept_events.h"

#include <utility>

#include "base/log.h"

namespace msp::gateway {
namespace {

std::string note_name(const std::string& vm_id) { return "events:" + vm_id; }

}  // namespace

Result<void> KeptEvents::open(KeyStore& store, const VmRegistry& registry) {
  for (const auto& vm : registry.all()) {
    const std::string& vm_id = vm->model.vm_id;
    auto text = store.note(note_name(vm_id));
    if (!text) {
      return std::move(text).error().context("scheduled events");
    }
    if (!text->has_value() || (*text)->empty()) {
      continue;
    }
    auto read = content::read_events_record(**text);
    if (!read) {
      log::write(std::move(read).error().context("scheduled events of " + vm->model.name + " are lost"));
      continue;
    }
    events_.put(vm_id, std::move(*read));
  }
  store_ = &store;
  return {};
}

Result<std::string> KeptEvents::add(const std::string& vm_id, content::ScheduledEvent event) {
  const auto before = events_.kept(vm_id);
  auto id = events_.add(vm_id, std::move(event));
  if (id) {
    if (auto saved = save(vm_id, events_.kept(vm_id)); !saved) {
      events_.put(vm_id, before);
      return std::move(saved).error();
    }
  }
  return id;
}

bool KeptEvents::approve(const std::string& vm_id, const std::vector<std::string>& ids) {
  const std::uint64_t before = events_.kept(vm_id).incarnation;
  const bool approved = events_.approve(vm_id, ids);
  const content::ScheduledEvents::OfOne& now = events_.kept(vm_id);
  // A guest that approves again and again costs no disk.
  if (approved && now.incarnation != before) {
    if (auto saved = save(vm_id, now); !saved) {
      log::write(std::move(saved).error().context("an approval of " + vm_id));
    }
  }
  return approved;
}

Result<bool> KeptEvents::end(const std::string& vm_id, std::string_view id) {
  const auto before = events_.kept(vm_id);
  if (!events_.end(vm_id, id)) {
    return false;
  }
  if (auto saved = save(vm_id, events_.kept(vm_id)); !saved) {
    events_.put(vm_id, before);
    return std::move(saved).error();
  }
  return true;
}

void KeptEvents::forget(const std::string& vm_id) {
  if (events_.kept(vm_id).events.empty()) {
    events_.forget(vm_id);
    return;
  }
  events_.forget(vm_id);
  if (auto saved = save(vm_id, {}); !saved) {
    log::write(std::move(saved).error().context("scheduled events of " + vm_id + " may come back"));
  }
}

Result<void> KeptEvents::save(const std::string& vm_id, const content::ScheduledEvents::OfOne& of) {
  if (store_ == nullptr) {
    return {};
  }
  // The last event's record stays: its number must not come again with another content.
  const bool nothing = of.events.empty() && of.incarnation == content::ScheduledEvents::OfOne{}.incarnation;
  return store_->set_note(note_name(vm_id), nothing ? std::string() : content::events_record(of));
}

}  // namespace msp::gateway
