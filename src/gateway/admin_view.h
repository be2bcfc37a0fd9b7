// SPDX-License-Identifier: Apache-2.0
// The JSON of the admin API (docs/host-admin.md): resources as they are known, and what came of a change.
// Pure functions of values on the loop's thread.
// Reading refuses a body that has not the form; its resources are read by the inventory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "content/guest_reports.h"
#include "content/scheduled_events.h"
#include "gateway/inventory.h"
#include "gateway/unknown_callers.h"

namespace msp::gateway {

/// {"resources": [{"resource": {…}, "sourceAddresses": ["10.0.0.4"], "interfaces": ["vnet0"], "network": "br0"}]};
/// texts are taken byte for byte.
Result<std::vector<GivenResource>> read_given(std::string_view body);

/// `whole`: with the resource as it was given.
std::string resource_json(const Inventory& inventory, const Resource& resource, bool whole);
/// {"value": […]}, in the order of names.
/// Of machines also who asks that is none of them.
std::string list_json(const Inventory& inventory, Listing listing, const UnknownCallers& unknown);
/// Version, and where the host listens.
std::string host_json(const std::vector<ListenerConfig>& listeners);
/// {"recipient": "64 hex digits"}
Result<BoxPublicKey> read_recipient(std::string_view body);
std::string recipient_json(const BoxPublicKey& recipient);
/// {"machine": {…}}: what is carried to the other host.
std::string departure_json(const Departure& departure);
/// {"machine": {…}, "sourceAddresses": […]}
struct GivenMachine {
  MovedMachine machine;
  std::optional<std::vector<Ipv4Address>> addresses = {};
  std::string network = {};
};
Result<GivenMachine> read_arrival(std::string_view body);
/// What a guest has reported; null: nothing.
std::string reports_json(const content::GuestReport* report);
/// Scheduled events of a machine.
std::string events_json(const content::ScheduledEvents::OfOne& of);
/// {"type": …, "inSeconds": …, "durationSeconds": …, "description": …, "source": …}
Result<content::ScheduledEvent> read_event(std::string_view body, std::int64_t now_seconds);
std::string outcome_json(const ChangeOutcome& outcome, bool dry_run);
/// Our error form with "remedy", which may be empty.
std::string complaint_json(std::string_view code, std::string_view description, std::string_view remedy,
                           std::string_view request_id);
/// Our error form with "faults".
std::string refusal_json(const ChangeOutcome& outcome, std::string_view request_id);

}  // namespace msp::gateway
