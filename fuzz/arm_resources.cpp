// SPDX-License-Identifier: Apache-2.0
// What operators apply: machines, scale sets and profiles as ARM writes them, one after another, separated by lines of
// "---"; each as an `mspctl vm apply` of its own. Whatever is accepted is kept byte for byte, is the same when applied
// again, is told to agents in a form that they accept, and lets the host start again.
#include <string>
#include <vector>

#include "fuzz/host_world.h"
#include "protocol/status.h"

namespace {

using namespace msp;

constexpr std::size_t kMost = 8;
constexpr std::string_view kBetween = "\n---\n";

std::vector<std::string_view> parts_of(std::string_view input) {
  std::vector<std::string_view> parts;
  while (parts.size() < kMost) {
    const auto at = input.find(kBetween);
    parts.push_back(input.substr(0, at));
    if (at == std::string_view::npos) {
      break;
    }
    input.remove_prefix(at + kBetween.size());
  }
  return parts;
}

void check_machines(const gateway::Inventory& inventory) {
  for (const auto& vm : inventory.registry().all()) {
    const auto status = protocol::read_status(gateway::status_document(*vm));
    FUZZ_CHECK(status);
    FUZZ_CHECK(json::parse(vm->content.instance_text, {.max_depth = 80}));
    FUZZ_CHECK(json::parse(vm->content.vm_settings, {.max_depth = 80}));
    FUZZ_CHECK(vm->content.load_balancer.empty() || json::parse(vm->content.load_balancer, {.max_depth = 80}));
  }
}

/// True: it was applied.
bool apply(fuzz::HostWorld& world, const gateway::GivenResource& given) {
  gateway::Inventory& inventory = *world.inventory;
  const auto machines = inventory.registry().all().size();
  const auto changes = world.store.changes();
  const auto would_be = inventory.apply({given}, true);
  FUZZ_CHECK(would_be && world.store.changes() == changes && inventory.registry().all().size() == machines);
  const auto outcome = inventory.apply({given}, false);
  // Nothing but the store may refuse what was checked.
  FUZZ_CHECK(outcome && outcome->faults.size() == would_be->faults.size());
  if (!outcome->faults.empty()) {
    FUZZ_CHECK(world.store.changes() == changes);
    return false;
  }
  FUZZ_CHECK(outcome->guests.size() == would_be->guests.size());
  for (const auto& effect : outcome->resources) {
    FUZZ_CHECK(inventory.resources().at(effect.name).text == given.text);
  }
  const auto again = inventory.apply({given}, false);
  FUZZ_CHECK(again && again->faults.empty() && again->guests.empty());
  for (const auto& effect : again->resources) {
    FUZZ_CHECK(effect.effect == gateway::Effect::kNone);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::quiet();
  fuzz::HostWorld world;
  bool any = false;
  std::uint8_t address = 0;
  for (const std::string_view part : parts_of(fuzz::text(data, size))) {
    gateway::GivenResource given{.text = std::string(part)};
    if (part.find("privateIPAddress") == std::string_view::npos) {
      given.addresses = {{10, 0, 0, ++address}};
    }
    any |= apply(world, given);
  }
  if (!any) {
    return 0;
  }
  check_machines(*world.inventory);
  auto restarted = gateway::Inventory::load(gateway::Config());
  FUZZ_CHECK(restarted && (*restarted)->open(world.store));
  FUZZ_CHECK((*restarted)->registry().all().size() == world.inventory->registry().all().size());
  check_machines(**restarted);
  return 0;
}
