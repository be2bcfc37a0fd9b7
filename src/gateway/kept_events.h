// SPDX-License-Identifier: Apache-2.0
// Scheduled events that outlive the host: what an operator has scheduled, and a guest approved, is in the store.
// Owned by the gateway; loop's thread; a change waits for one disk sync, asking costs none.
// What the store refuses to add or end has not happened. An approval that it refuses holds until the host ends.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "content/scheduled_events.h"
#include "gateway/key_store.h"
#include "gateway/vm_registry.h"

namespace msp::gateway {

class KeptEvents {
 public:
  /// Reads what is kept of these machines; from then on changes go to `store`, which outlives this. Without it events
  /// are in memory only.
  Result<void> open(KeyStore& store, const VmRegistry& registry);

  /// As those of content::ScheduledEvents; what can fail says why.
  Result<std::string> add(const std::string& vm_id, content::ScheduledEvent event);
  bool approve(const std::string& vm_id, const std::vector<std::string>& ids);
  /// False: there is no such event.
  Result<bool> end(const std::string& vm_id, std::string_view id);
  void forget(const std::string& vm_id);
  const content::ScheduledEvents::OfOne& at(const std::string& vm_id, std::int64_t now_seconds) {
    return events_.at(vm_id, now_seconds);
  }

 private:
  Result<void> save(const std::string& vm_id, const content::ScheduledEvents::OfOne& of);

  content::ScheduledEvents events_;
  KeyStore* store_ = nullptr;
};

}  // namespace msp::gateway
