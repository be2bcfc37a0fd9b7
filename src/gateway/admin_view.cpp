// SPDX-License-Identifier: Apache-2.0
#include "gateway/admin_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/arm_document.h"
#include "base/clock.h"
#include "base/interface_name.h"
#include "base/json_fields.h"
#include "base/version.h"
#include "gateway/source_addresses.h"

namespace msp::gateway {
namespace {

constexpr json::Options kLimits{.max_bytes = std::size_t{16} << 20, .max_nodes = 2'000'000, .source = Source::kClient};

std::string_view kind_name(ResourceKind kind) {
  switch (kind) {
    case ResourceKind::kVirtualMachine:
      return "virtualMachine";
    case ResourceKind::kScaleSet:
      return "scaleSet";
    case ResourceKind::kProfile:
      return "accessControlProfile";
    case ResourceKind::kProfileVersion:
      return "accessControlProfileVersion";
  }
  return "resource";
}

void write_service(json::Writer& writer, std::string_view name, const ServicePolicy& policy,
                   const EndpointSettings& endpoint) {
  writer.key(name).begin_object().field("mode", to_string(policy.mode)).field("ruleId", policy.rule_id);
  writer.key("profile");
  if (endpoint.profile_reference.empty()) {
    writer.null();
  } else {
    writer.value(endpoint.profile_reference);
  }
  writer.end_object();
}

void write_time(json::Writer& writer, std::int64_t at_ns, std::string_view name = "time") {
  writer.key(name);
  if (at_ns == 0) {
    writer.null();
  } else {
    writer.value(timestamp_ms(at_ns) + "Z");
  }
}

/// Null: there is none.
void write_name(json::Writer& writer, std::string_view member, std::string_view name) {
  writer.key(member);
  if (name.empty()) {
    writer.null();
  } else {
    writer.value(name);
  }
}

void write_macs(json::Writer& writer, const Vm& vm) {
  writer.key("macAddresses").begin_array();
  for (const std::string& mac : vm.content.mac_addresses) {
    writer.value(mac);
  }
  writer.end_array();
}

void write_key(json::Writer& writer, const LiveKey* key) {
  if (key == nullptr) {
    writer.null();
  } else {
    writer.value(key->guid);
  }
}

void write_machine(json::Writer& writer, const Inventory& inventory, const Vm& vm, const Resource& resource) {
  const bool given = !resource.addresses.empty();
  const ProxyAgentSettings& settings = vm.model.proxy_agent;
  writer.field("enabled", settings.enabled);
  write_service(writer, "imds", vm.imds, settings.imds);
  write_service(writer, "wireServer", vm.wire_server, settings.wire_server);
  writer.field("keyIncarnationId", settings.key_incarnation_id).key("keyGuid");
  write_key(writer, vm.latched);
  writer.key("keyOutgoing");
  write_key(writer, inventory.outgoing(vm));
  writer.key("sourceAddresses").begin_array();
  for (const Ipv4Address& address : vm.addresses) {
    writer.value(address_text({.address = address, .port = 0}));
  }
  writer.end_array().field("addressesOf", given ? "given" : "model").key("interfaces").begin_array();
  for (const std::string& name : resource.interfaces) {
    writer.value(name);
  }
  writer.end_array();
  write_name(writer, "network", vm.network);
  write_macs(writer, vm);
  writer.key("scaleSet");
  if (vm.model.scale_set.empty()) {
    writer.null();
  } else {
    writer.value(vm.model.scale_set);
  }
  std::uint64_t refused = 0;
  for (const std::uint64_t count : vm.counters.refused) {
    refused += count;
  }
  writer.key("requests").begin_object().field("all", vm.counters.requests);
  writer.field("audited", vm.counters.audited).field("refused", refused);
  write_time(writer, vm.counters.last_ns, "last");
  writer.end_object();
  writer.key("keyAlarms").begin_object();
  writer.field("askedWhileLatched", vm.counters.key_asked);
  write_time(writer, vm.counters.key_asked_ns);
  writer.field("usedByOthers", vm.counters.key_used_by_others);
  writer.field("twoAgents", vm.counters.askers.two_at_once()).end_object();
}

void write_scale_set(json::Writer& writer, const Inventory& inventory, const std::string& id) {
  const auto found = inventory.scale_sets().find(id);
  if (found == inventory.scale_sets().end()) {
    return;
  }
  const ProxyAgentSettings& settings = found->second->proxy_agent;
  json::Problems none({}, "resource");
  const Policies policies = resolve_policies(settings, inventory.profiles(), std::string(kScaleSetSettings), none);
  writer.field("enabled", settings.enabled);
  write_service(writer, "imds", policies.imds, settings.imds);
  write_service(writer, "wireServer", policies.wire_server, settings.wire_server);
  writer.field("keyIncarnationId", settings.key_incarnation_id).key("instances").begin_array();
  for (const Vm* vm : inventory.instances_of(id)) {
    writer.begin_object().field("name", vm->model.name).field("vmId", vm->model.vm_id);
    writer.field("latched", vm->latched != nullptr).end_object();
  }
  writer.end_array();
}

void write_profile(json::Writer& writer, const Inventory& inventory, const Resource& resource) {
  writer.key("referredToBy").begin_array();
  for (const Referrer& who : inventory.referrers(resource.name)) {
    writer.value(who.name);
  }
  writer.end_array();
}

void write_count(json::Writer& writer, std::string_view name, const content::GuestReport::Count& count) {
  writer.key(name).begin_object().field("requests", count.requests).field("bytes", count.bytes);
  write_time(writer, count.last_ns);
  writer.end_object();
}

void write_effects(json::Writer& writer, const ChangeOutcome& outcome) {
  writer.key("resources").begin_array();
  for (const ResourceEffect& effect : outcome.resources) {
    writer.begin_object().field("kind", kind_name(effect.name.kind)).field("name", effect.label);
    writer.field("key", effect.name.key).field("effect", to_string(effect.effect)).end_object();
  }
  writer.end_array().key("guests").begin_array();
  for (const GuestChange& guest : outcome.guests) {
    writer.begin_object().field("name", guest.name).field("vmId", guest.vm_id).key("differences").begin_array();
    for (const Difference& difference : guest.differences) {
      writer.begin_object().field("what", difference.what);
      writer.field("from", difference.from).field("to", difference.to).end_object();
    }
    writer.end_array().end_object();
  }
  writer.end_array();
}

std::string read_network(json::ObjectReader& from) {
  std::string network = from.string("network");
  if (!network.empty() && !is_interface_name(network)) {
    from.fail("network", kOneInterfaceRule);
  }
  return network;
}

std::vector<Ipv4Address> read_addresses(json::ObjectReader& from) {
  std::vector<Ipv4Address> addresses;
  for (const std::string& text : from.strings("sourceAddresses")) {
    if (auto address = parse_address(text); address) {
      addresses.push_back(*address);
    } else {
      from.fail("sourceAddresses", address.error().message);
    }
  }
  return addresses;
}

}  // namespace

Result<std::vector<GivenResource>> read_given(std::string_view body) {
  const auto tree = json::parse(body, kLimits);
  if (!tree) {
    return tree.error();
  }
  json::Problems problems({}, "request");
  std::vector<GivenResource> given;
  json::ObjectReader root(*tree, "", problems);
  root.each_object("resources", [&](json::ObjectReader& item) {
    GivenResource resource;
    if (const json::Value* value = item.raw("resource"); value != nullptr) {
      resource.text = text_of(body, *value);
    } else {
      item.fail("resource", "is missing");
    }
    if (item.has("sourceAddresses")) {
      resource.addresses = read_addresses(item);
    }
    if (item.has("interfaces")) {
      resource.interfaces = item.strings("interfaces");
      if (!std::ranges::all_of(*resource.interfaces, is_interface_name)) {
        item.fail("interfaces", kInterfaceRule);
      }
    }
    if (item.has("network")) {
      resource.network = read_network(item);
    }
    item.finish();
    given.push_back(std::move(resource));
  });
  root.finish();
  if (given.empty() && problems.empty()) {
    root.fail("resources", "holds none");
  }
  if (auto result = problems.result(); !result) {
    return std::move(result).error();
  }
  return given;
}

std::string resource_json(const Inventory& inventory, const Resource& resource, bool whole) {
  json::Writer writer;
  writer.begin_object().field("kind", kind_name(resource.name.kind)).field("name", resource.label);
  const bool machine = resource.name.kind == ResourceKind::kVirtualMachine;
  const bool set = resource.name.kind == ResourceKind::kScaleSet;
  writer.field(machine ? "vmId" : "key", resource.name.key).key("file");
  if (resource.file.empty()) {
    writer.null();
  } else {
    writer.value(resource.file);
  }
  if (machine) {
    if (const Vm* vm = inventory.registry().find_by_id(resource.name.key); vm != nullptr) {
      write_machine(writer, inventory, *vm, resource);
    }
  } else if (set) {
    write_scale_set(writer, inventory, resource.name.key);
  } else if (resource.name.kind == ResourceKind::kProfileVersion) {
    write_profile(writer, inventory, resource);
  }
  writer.end_object();
  std::string out = std::move(writer).take();
  if (whole) {
    // Not through a tree: what was given is shown byte for byte.
    out.pop_back();
    out += R"(,"resource":)" + resource.text + "}";
  }
  return out;
}

std::string list_json(const Inventory& inventory, Listing listing, const UnknownCallers& unknown) {
  std::string out = R"({"value":[)";
  bool first = true;
  for (const auto& [name, resource] : inventory.resources()) {
    if (listing_of(name.kind) == listing) {
      out += first ? "" : ",";
      out += resource_json(inventory, resource, false);
      first = false;
    }
  }
  if (listing != Listing::kMachines) {
    return out + "]}";
  }
  json::Writer writer;
  writer.begin_array();
  for (const UnknownCallers::Caller& caller : unknown.all()) {
    writer.begin_object().field("address", address_text({.address = caller.address, .port = 0}));
    write_name(writer, "network", caller.network);
    writer.field("requests", caller.requests);
    write_time(writer, caller.last_ns);
    writer.end_object();
  }
  return out + R"(],"unknownCallers":)" + std::move(writer.end_array()).take() + "}";
}

Result<BoxPublicKey> read_recipient(std::string_view body) {
  const auto tree = json::parse(body, {.max_bytes = 4096, .source = Source::kClient});
  if (!tree) {
    return tree.error();
  }
  json::Problems problems({}, "request");
  json::ObjectReader root(*tree, "", problems);
  BoxPublicKey recipient{};
  if (!hex_decode_to(root.string("recipient"), recipient)) {
    root.fail("recipient", fmt::format("is not {} hex digits, as mspctl key recipient prints them", 2 * kBoxKeySize));
  } else if (const auto sealed = box_seal(recipient, {}, {}); !sealed && sealed.error().source == Source::kConfig) {
    root.fail("recipient", "is no public key: nothing can be sealed for it");
  }
  root.finish();
  if (auto good = problems.result(); !good) {
    return std::move(good).error();
  }
  return recipient;
}

std::string recipient_json(const BoxPublicKey& recipient) {
  json::Writer writer;
  writer.begin_object().field("recipient", hex_encode(recipient)).end_object();
  return std::move(writer).take();
}

std::string departure_json(const Departure& departure) {
  return R"({"machine":)" + moved_machine_json(departure.machine) + "}";
}

Result<GivenMachine> read_arrival(std::string_view body) {
  const auto tree = json::parse(body, kLimits);
  if (!tree) {
    return tree.error();
  }
  json::Problems problems({}, "request");
  json::ObjectReader root(*tree, "", problems);
  GivenMachine given;
  const json::Value* value = root.raw("machine");
  if (value == nullptr) {
    root.fail("machine", "is missing");
  }
  if (root.has("sourceAddresses")) {
    given.addresses = read_addresses(root);
  }
  if (root.has("network")) {
    given.network = read_network(root);
  }
  root.finish();
  if (auto good = problems.result(); !good) {
    return std::move(good).error();
  }
  auto machine = parse_moved_machine(text_of(body, *value));
  if (!machine) {
    return std::move(machine).error();
  }
  given.machine = std::move(*machine);
  return given;
}

std::string host_json(const std::vector<ListenerConfig>& listeners) {
  json::Writer writer;
  writer.begin_object().field("version", version()).key("listeners").begin_array();
  for (const ListenerConfig& listener : listeners) {
    writer.begin_object().field("address", address_text(listener.at)).field("port", std::uint64_t{listener.at.port});
    writer.field("service", to_string(listener.service));
    write_name(writer, "interface", listener.interface);
    writer.end_object();
  }
  return std::move(writer.end_array().end_object()).take();
}

std::string reports_json(const content::GuestReport* report) {
  static const content::GuestReport kNone;
  const content::GuestReport& all = report == nullptr ? kNone : *report;
  json::Writer writer;
  writer.begin_object().key("provisioning").begin_object().field("state", all.health.state);
  writer.field("subStatus", all.health.sub_status).field("description", all.health.description);
  writer.field("by", all.health_by);
  write_time(writer, all.health_ns);
  writer.end_object();
  write_count(writer, "telemetry", all.telemetry);
  write_count(writer, "logs", all.logs);
  write_count(writer, "observations", all.observations);
  writer.key("agent").begin_object().field("state", all.status.state).field("version", all.status.version);
  writer.field("message", all.status.message);
  write_time(writer, all.status_ns);
  writer.end_object().end_object();
  std::string out = std::move(writer).take();
  // The guest's own words, which were read once and are JSON.
  out.pop_back();
  return fmt::format(R"({},"document":{}}})", out, all.status.document.empty() ? "null" : all.status.document);
}

std::string events_json(const content::ScheduledEvents::OfOne& of) {
  json::Writer writer;
  writer.begin_object().field("incarnation", of.incarnation).key("value").begin_array();
  for (const content::ScheduledEvent& event : of.events) {
    writer.begin_object().field("id", event.id).field("type", event.type).field("source", event.source);
    writer.field("status", event.started ? "Started" : "Scheduled");
    writer.field("notBefore", timestamp_ms(event.not_before * 1'000'000'000) + "Z");
    writer.field("durationSeconds", event.duration_seconds).field("description", event.description).end_object();
  }
  return std::move(writer.end_array().end_object()).take();
}

Result<content::ScheduledEvent> read_event(std::string_view body, std::int64_t now_seconds) {
  const auto tree = json::parse(body, {.max_bytes = 65'536, .source = Source::kClient});
  if (!tree) {
    return tree.error();
  }
  constexpr std::int64_t kMostSeconds = std::int64_t{366} * 86'400;
  constexpr std::size_t kLongestText = 1024;
  json::Problems problems({}, "event");
  json::ObjectReader root(*tree, "", problems);
  content::ScheduledEvent event;
  event.type = root.string("type");
  if (!content::is_event_type(event.type)) {
    root.fail("type", "must be Freeze, Reboot, Redeploy, Preempt or Terminate");
  }
  event.not_before = now_seconds + root.integer("inSeconds", 900, {.min = 0, .max = kMostSeconds});
  event.duration_seconds = root.integer("durationSeconds", -1, {.min = -1, .max = kMostSeconds});
  event.description = root.string("description", "");
  if (event.description.size() > kLongestText) {
    root.fail("description", fmt::format("is longer than {} bytes", kLongestText));
  }
  event.source = root.choice("source", 0, {"Platform", "User"}) == 0 ? "Platform" : "User";
  root.finish();
  if (auto result = problems.result(); !result) {
    return std::move(result).error();
  }
  return event;
}

std::string outcome_json(const ChangeOutcome& outcome, bool dry_run) {
  json::Writer writer;
  writer.begin_object().field("dryRun", dry_run);
  write_effects(writer, outcome);
  writer.end_object();
  return std::move(writer).take();
}

std::string complaint_json(std::string_view code, std::string_view description, std::string_view remedy,
                           std::string_view request_id) {
  json::Writer writer;
  writer.begin_object().field("error", code).field("error_description", description);
  writer.field("remedy", remedy).field("request_id", request_id).end_object();
  return std::move(writer).take();
}

std::string refusal_json(const ChangeOutcome& outcome, std::string_view request_id) {
  json::Writer writer;
  writer.begin_object().field("error", "refused");
  writer.field("error_description", fmt::format("nothing was changed: {} fault{}", outcome.faults.size(),
                                                outcome.faults.size() == 1 ? "" : "s"));
  writer.field("request_id", request_id).key("faults").begin_array();
  for (const Fault& fault : outcome.faults) {
    writer.begin_object().field("resource", fault.resource).field("pointer", fault.pointer);
    writer.field("problem", fault.problem).field("remedy", fault.remedy).end_object();
  }
  writer.end_array().end_object();
  return std::move(writer).take();
}

}  // namespace msp::gateway
