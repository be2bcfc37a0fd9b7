// SPDX-License-Identifier: Apache-2.0
// Scale sets in the inventory: how a change of one is put together with those of its instances, reset and deleted.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "gateway/inventory_staged.h"
#include "gateway/model_text.h"

namespace msp::gateway {

void Inventory::stage_scale_set(Staged& staged, std::size_t index, Resource resource, const json::Value& tree) const {
  json::Problems problems({}, "resource");
  auto set = std::make_shared<ScaleSet>(read_scale_set(tree, problems));
  staged.fail(index, problems);
  if (!problems.empty()) {
    return;
  }
  resource.label = set->name;
  resource.name.key = ascii_lower(set->id);
  resource.addresses.clear();  // of instances, each
  resource.network.clear();
  staged.sets[resource.name.key] = {.given = index, .set = std::move(set)};
  admit(staged, index, std::move(resource), "/id");
}

std::vector<const Vm*> Inventory::instances_of(const std::string& set_id) const {
  std::vector<const Vm*> found;
  for (const auto& vm : registry_.all()) {
    // A machine of no set has no name for it, and is no instance of one that has none either.
    if (!set_id.empty() && vm->model.scale_set == set_id) {
      found.push_back(vm.get());
    }
  }
  return found;
}

// What a set refers to must be there also while it has no instance. To raise its keyIncarnationId is to reset the key
// of every instance: one whose own is as high already would keep its key unnoticed.
void Inventory::check_scale_sets(Staged& staged) const {
  for (auto& [id, given] : staged.sets) {
    const ProxyAgentSettings& settings = given.set->proxy_agent;
    json::Problems problems({}, "resource");
    resolve_policies(settings, staged.profiles, std::string(kScaleSetSettings), problems);
    staged.fail(given.given, problems);
    given.good = problems.empty();
    const auto before = scale_sets_.find(id);
    if (before == scale_sets_.end() || settings.key_incarnation_id <= before->second->proxy_agent.key_incarnation_id) {
      continue;
    }
    for (const Vm* vm : instances_of(id)) {
      const std::uint32_t own = vm->model.proxy_agent.key_incarnation_id;
      if (own >= settings.key_incarnation_id) {
        staged.fail(given.given, fmt::format("{}/keyIncarnationId", kScaleSetSettings),
                    fmt::format("the instance {} has {} already, so its key would not end", vm->model.name, own),
                    "give one that is higher than that of every instance");
      }
    }
  }
}

// An instance that leaves it to its set what is closed is open while that is not there, whatever was meant.
void Inventory::check_sets_are_there(Staged& staged, const std::vector<GivenResource>& given) const {
  for (const auto& [index, model] : staged.models) {
    if (!lacks_its_set(model) || staged.sets.contains(model.scale_set)) {
      continue;
    }
    if (given[index].as_before) {
      log::warn("{} is open: it does not say whether it is enabled, and its scale set {} is not there", model.name,
                model.scale_set);
      continue;
    }
    staged.fail(index, fmt::format("{}/enabled", kMachineSettings),
                fmt::format("is missing, and the scale set {} is not there", model.scale_set),
                "apply the scale set first, or along with this; or say in the instance whether it is enabled");
  }
}

bool Inventory::lacks_its_set(const VmModel& model) const {
  return !model.scale_set.empty() && !model.proxy_agent.says_enabled && !scale_sets_.contains(model.scale_set);
}

void Inventory::join_scale_set(const Staged& staged, VmModel& model) const {
  if (model.scale_set.empty()) {
    return;
  }
  std::shared_ptr<const ScaleSet> set;
  if (const auto given = staged.sets.find(model.scale_set); given != staged.sets.end()) {
    set = given->second.set;
  } else if (const auto known = scale_sets_.find(model.scale_set); known != scale_sets_.end()) {
    set = known->second;
  }
  if (set != nullptr) {
    model.proxy_agent = settings_of_instance(set->proxy_agent, model.proxy_agent);
    model.document = document_of_instance(model.document, *set);
  }
}

bool Inventory::has_new_incarnation(const Vm& vm) const {
  const Vm* before = registry_.find_by_id(vm.model.vm_id);
  return before != nullptr && before->model.proxy_agent.key_incarnation_id != vm.model.proxy_agent.key_incarnation_id;
}

Result<ChangeOutcome> Inventory::remove_scale_set(const Resource& resource) {
  ChangeOutcome outcome;
  ModelChange change;
  std::vector<ResourceName> names;
  for (const Vm* vm : instances_of(resource.name.key)) {
    names.push_back({.kind = ResourceKind::kVirtualMachine, .key = vm->model.vm_id});
    change.forgotten.push_back(vm->model.vm_id);
  }
  names.push_back(resource.name);
  change.removed = names;
  if (auto stored = store_->change(change); !stored) {
    return std::move(stored).error();
  }
  for (const ResourceName& name : names) {
    outcome.resources.push_back({.name = name, .label = resources_.at(name).label, .effect = Effect::kDeleted});
    log::info("{} is deleted", resources_.at(name).label);
    if (Vm* vm = name.kind == ResourceKind::kVirtualMachine ? registry_.find_by_id(name.key) : nullptr) {
      outcome.guests.push_back(guest_change(vm, nullptr));
      forget(*vm);
    }
  }
  for (const ResourceName& name : names) {
    resources_.erase(name);
  }
  scale_sets_.erase(names.back().key);
  return outcome;
}

std::string Inventory::with_keys_ended(const Resource& set, KeyEnd end, ChangeOutcome& outcome) const {
  std::uint32_t highest = scale_sets_.at(set.name.key)->proxy_agent.key_incarnation_id;
  for (const Vm* vm : instances_of(set.name.key)) {
    highest = std::max(highest, vm->model.proxy_agent.key_incarnation_id);
    refuse_second_rotation(*vm, end, outcome);
  }
  if (!outcome.faults.empty()) {
    return {};
  }
  const auto tree = json::parse(set.text, kResourceFile);
  std::string text = !tree || highest == UINT32_MAX ? std::string()
                                                    : with_incarnation(set.text, *tree, highest + 1, kScaleSetSettings);
  if (text.empty()) {
    outcome.faults.push_back({.pointer = {},
                              .problem = highest == UINT32_MAX ? "keyIncarnationId cannot be raised any more"
                                                               : "the model has no proxyAgentSettings",
                              .remedy = highest == UINT32_MAX
                                            ? "it is the highest that there is: give such an instance a new vmId"
                                            : "apply a model that has them"});
  }
  return text;
}

}  // namespace msp::gateway
