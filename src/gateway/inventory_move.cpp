// SPDX-License-Identifier: Apache-2.0
// How a machine leaves for another host and comes from one, with its latch: at no moment do two hosts know its key as
// latched, since the one forgets it, on disk, before it hands it on.
#include <fmt/format.h>

#include "base/log.h"
#include "gateway/inventory.h"
#include "gateway/inventory_staged.h"

namespace msp::gateway {

Result<Departure> Inventory::depart(const ResourceName& name, const BoxPublicKey& to) {
  Departure departure;
  const auto found = resources_.find(name);
  const Vm* vm = registry_.find_by_id(name.key);
  if (found == resources_.end() || vm == nullptr) {
    departure.outcome.faults.push_back({.pointer = {},
                                        .problem = "there is no such virtual machine",
                                        .remedy = "mspctl vm list shows those that are there"});
    return departure;
  }
  departure.outcome.faults = holding(found->second);
  if (!departure.outcome.faults.empty()) {
    return departure;
  }
  const auto moves = store_->moves(name.key);
  if (!moves) {
    return moves.error();
  }
  MovedMachine& machine = departure.machine;
  machine = {.vm_id = name.key,
             .incarnation = vm->model.proxy_agent.key_incarnation_id,
             .moves = *moves + 1,
             .addresses = found->second.addresses,
             .model = found->second.text};
  if (auto packed = keys_->pack(machine, to); !packed) {
    return std::move(packed).error();
  }
  auto outcome = take_out(found->second, {.moved = {{.vm_id = name.key, .moves = machine.moves}}});
  if (!outcome) {
    return std::move(outcome).error();
  }
  departure.outcome = std::move(*outcome);
  return departure;
}

Result<ChangeOutcome> Inventory::arrive(const MovedMachine& machine, std::optional<std::vector<Ipv4Address>> addresses,
                                        std::string network) {
  Pauses none;
  const std::vector<GivenResource> given = {{.text = machine.model,
                                             .addresses = addresses ? std::move(addresses) : machine.addresses,
                                             .network = std::move(network),
                                             .as_before = true}};
  Staged staged = stage(given, none).result();
  const auto refuse = [&](std::string problem, std::string remedy) {
    staged.faults.push_back({.pointer = {}, .problem = std::move(problem), .remedy = std::move(remedy)});
  };
  const auto named = staged.machines.find(machine.vm_id);
  if (staged.faults.empty() && named != staged.machines.end() && lacks_its_set(named->second.vm.model)) {
    refuse(fmt::format("its scale set {} is not here, which says what is closed", named->second.vm.model.scale_set),
           "apply the scale set first (mspctl vmss apply), then import the same file");
  } else if (staged.faults.empty() && (named == staged.machines.end() ||
                                       named->second.vm.model.proxy_agent.key_incarnation_id != machine.incarnation)) {
    refuse("the model in it is not that of this machine", "take the file as it was exported");
  }
  if (registry_.find_by_id(machine.vm_id) != nullptr) {
    refuse("this machine is here already", "delete it first if what was exported is to take its place");
  }
  const auto moves = store_->moves(machine.vm_id);
  if (!moves) {
    return moves.error();
  }
  if (machine.moves <= *moves) {
    refuse(fmt::format("this is move {} of the machine, and {} have been seen here", machine.moves, *moves),
           "an old key could come back: take what the last export of it wrote, or apply its model with a raised "
           "keyIncarnationId");
  }
  auto move = keys_->unpack(machine);
  if (!move) {
    refuse(move.error().message, move.error().hint);
  }
  ChangeOutcome outcome = outcome_of(staged, none).result();
  if (!outcome.faults.empty()) {
    return outcome;
  }
  ModelChange change = to_store(staged);
  change.moved.push_back(std::move(*move));
  if (auto stored = store_->change(change); !stored) {
    return std::move(stored).error();
  }
  log::info("{} has come from another host{}", outcome.resources.front().label,
            machine.key ? fmt::format(" with its key {}", machine.key->guid) : std::string(", without a key"));
  staged.machines.at(machine.vm_id).vm.moves = machine.moves;
  commit(std::move(staged), KeyEnd::kAtOnce);
  return outcome;
}

}  // namespace msp::gateway
