// SPDX-License-Identifier: Apache-2.0
#include "gateway/inventory.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/arm_document.h"
#include "base/file.h"
#include "base/log.h"
#include "gateway/model_text.h"
#include "gateway/source_addresses.h"

namespace msp::gateway {
namespace {

Result<std::vector<VirtualMachineConfig>> machines_of(const Config& config) {
  std::vector<VirtualMachineConfig> machines = config.virtual_machines;
  if (config.model_directory.empty()) {
    return machines;
  }
  auto names = file::list(config.model_directory);
  if (!names) {
    return std::move(names).error().context("modelDirectory");
  }
  for (const std::string& name : *names) {
    if (name.ends_with(".json")) {
      machines.push_back({.model = config.model_directory + "/" + name, .source_addresses = {}});
    }
  }
  return machines;
}

}  // namespace

std::string_view to_string(Effect effect) {
  switch (effect) {
    case Effect::kNone:
      return "unchanged";
    case Effect::kCreated:
      return "created";
    case Effect::kChanged:
      return "changed";
    case Effect::kDeleted:
      return "deleted";
  }
  return "unchanged";
}

Listing listing_of(ResourceKind kind) {
  switch (kind) {
    case ResourceKind::kVirtualMachine:
      return Listing::kMachines;
    case ResourceKind::kScaleSet:
      return Listing::kScaleSets;
    case ResourceKind::kProfile:
    case ResourceKind::kProfileVersion:
      break;
  }
  return Listing::kProfiles;
}

Result<std::unique_ptr<Inventory>> Inventory::load(const Config& config) {
  std::unique_ptr<Inventory> inventory(new Inventory());
  inventory->vault_ = content::Vault(config.certificate_directory);
  for (const ListenerConfig& listener : config.listeners) {
    if (!listener.interface.empty()) {
      inventory->networks_.push_back(listener.interface);
    }
  }
  for (const std::string& path : config.profiles) {
    if (auto loaded = inventory->load_profiles(path); !loaded) {
      return std::move(loaded).error();
    }
  }
  auto machines = machines_of(config);
  if (!machines) {
    return std::move(machines).error();
  }
  for (const VirtualMachineConfig& machine : *machines) {
    if (auto loaded = inventory->load_machine(machine); !loaded) {
      return std::move(loaded).error();
    }
  }
  return inventory;
}

Result<void> Inventory::load_profiles(const std::string& path) {
  auto text = file::read(path, file::configuration(), kResourceFile.max_bytes);
  if (!text) {
    return std::move(text).error().context("access control profile");
  }
  if (auto added = profiles_.add_text(*text, path); !added) {
    return added;
  }
  const auto tree = json::parse(*text, kResourceFile);
  if (!tree) {
    return tree.error();
  }
  for (const PlacedResource& placed : resources_of(*tree)) {
    Resource resource;
    resource.label = *placed.value->find("id")->string();
    const std::string key = ascii_lower(resource.label);
    resource.name = {.kind = profile_of(key).empty() ? ResourceKind::kProfile : ResourceKind::kProfileVersion,
                     .key = key};
    resource.text = text_of(*text, *placed.value);
    resource.file = path;
    const ResourceName name = resource.name;
    resources_.insert_or_assign(name, std::move(resource));
  }
  return {};
}

Result<void> Inventory::load_machine(const VirtualMachineConfig& machine) {
  auto text = file::read(machine.model, file::configuration(), kResourceFile.max_bytes);
  if (!text) {
    return std::move(text).error().context("virtual machine model");
  }
  auto model = parse_model(*text, machine.model);
  if (!model) {
    return std::move(model).error();
  }
  Resource resource{.name = {.kind = ResourceKind::kVirtualMachine, .key = model->vm_id},
                    .label = model->name,
                    .text = text_of(*text, model->document),
                    .file = machine.model,
                    .addresses = machine.source_addresses,
                    .interfaces = machine.interfaces,
                    .network = machine.network};
  if (!model->id.empty()) {
    const auto [known, fresh] = by_resource_id_.emplace(ascii_lower(model->id), model->vm_id);
    if (!fresh && known->second != model->vm_id) {
      return config_error(fmt::format("{}: another machine has the id {} as well", machine.model, model->id),
                          "an id names one machine: take one of the two away");
    }
  }
  auto vm = make_vm(std::move(*model), profiles_, vault_);
  if (!vm) {
    return std::move(vm).error().context(machine.model);
  }
  if (!machine.source_addresses.empty()) {
    vm->addresses = machine.source_addresses;
  }
  vm->network = machine.network;
  for (const Ipv4Address& address : vm->addresses) {
    if (const auto why = why_no_source(address); !why.empty()) {
      return config_error(fmt::format("{}: {} is no source address: {}", machine.model, place_text(address, {}), why),
                          "give sourceAddresses, or a privateIPAddress in its model");
    }
  }
  if (auto added = registry_.add(std::move(*vm)); !added) {
    return std::move(added).error().context(machine.model);
  }
  const ResourceName name = resource.name;
  resources_.insert_or_assign(name, std::move(resource));
  return {};
}

void Inventory::attach(KeyRing& keys, Changed changed) {
  keys_ = &keys;
  changed_ = std::move(changed);
}

std::vector<const Resource*> Inventory::find(Listing listing, std::string_view word) const {
  const std::string lower = ascii_lower(word);
  std::vector<const Resource*> found;
  if (listing != Listing::kProfiles) {
    const ResourceKind kind = listing == Listing::kMachines ? ResourceKind::kVirtualMachine : ResourceKind::kScaleSet;
    const auto by_id = by_resource_id_.find(lower);
    const auto exact = resources_.find({.kind = kind, .key = by_id == by_resource_id_.end() ? lower : by_id->second});
    if (exact != resources_.end()) {
      return {&exact->second};
    }
    for (const auto& [name, resource] : resources_) {
      if (name.kind == kind && ascii_lower(resource.label) == lower) {
        found.push_back(&resource);
      }
    }
    return found;
  }
  // "P" and "P/1.0.0" stand for the ends of longer ids.
  const auto slash = lower.find('/');
  const std::string end = slash == std::string::npos ? fmt::format("/invmaccesscontrolprofiles/{}", lower)
                                                     : fmt::format("/invmaccesscontrolprofiles/{}/versions/{}",
                                                                   lower.substr(0, slash), lower.substr(slash + 1));
  for (const auto& [name, resource] : resources_) {
    if (listing_of(name.kind) != Listing::kProfiles) {
      continue;
    }
    if (name.key == lower) {
      return {&resource};
    }
    if (name.key.ends_with(end)) {
      found.push_back(&resource);
    }
  }
  return found;
}

std::vector<Referrer> Inventory::referrers(const ResourceName& version) const {
  std::vector<Referrer> found;
  const auto look = [&](const ProxyAgentSettings& settings, std::string_view what, const std::string& name) {
    if (ascii_lower(settings.imds.profile_reference) == version.key ||
        ascii_lower(settings.wire_server.profile_reference) == version.key) {
      found.push_back({.what = what, .name = name});
    }
  };
  for (const auto& [id, set] : scale_sets_) {
    look(set->proxy_agent, "scale set", set->name);
  }
  for (const auto& vm : registry_.all()) {
    look(vm->model.proxy_agent, "virtual machine", vm->model.name);
  }
  return found;
}

std::vector<Fault> Inventory::holding(const Resource& resource) const {
  std::vector<Fault> faults;
  const auto refuse = [&](std::string problem, std::string remedy) {
    faults.push_back({.pointer = {}, .problem = std::move(problem), .remedy = std::move(remedy)});
  };
  if (!resource.file.empty()) {
    refuse(fmt::format("{} comes from the file {}", resource.label, resource.file),
           "take it out of the configuration's files and restart msp-host");
  }
  if (resource.name.kind == ResourceKind::kProfileVersion) {
    for (const Referrer& who : referrers(resource.name)) {
      refuse(fmt::format("{} {} refers to {}", who.what, who.name, resource.label),
             "have it refer to another version first");
    }
  }
  if (resource.name.kind == ResourceKind::kProfile) {
    for (const auto& [other, version] : resources_) {
      if (other.kind == ResourceKind::kProfileVersion && profile_of(other.key) == resource.name.key) {
        refuse(fmt::format("{} lies under {}", version.label, resource.label), "delete it first");
      }
    }
  }
  return faults;
}

Result<ChangeOutcome> Inventory::take_out(const Resource& resource, ModelChange change) {
  const ResourceName name = resource.name;
  change.removed.push_back(name);
  Vm* vm = name.kind == ResourceKind::kVirtualMachine ? registry_.find_by_id(name.key) : nullptr;
  if (vm != nullptr) {
    change.forgotten.push_back(name.key);
  }
  if (auto stored = store_->change(change); !stored) {
    return std::move(stored).error();
  }
  ChangeOutcome outcome;
  outcome.resources.push_back({.name = name, .label = resource.label, .effect = Effect::kDeleted});
  if (vm != nullptr) {
    outcome.guests.push_back(guest_change(vm, nullptr));
    forget(*vm);
  } else {
    profiles_.remove(name.key);
  }
  log::info("{} is {}", resource.label, change.moved.empty() ? "deleted" : "exported to another host");
  resources_.erase(name);
  return outcome;
}

Result<ChangeOutcome> Inventory::remove(const ResourceName& name) {
  ChangeOutcome outcome;
  const auto found = resources_.find(name);
  if (found == resources_.end()) {
    outcome.faults.push_back({.pointer = {},
                              .problem = "there is no such resource",
                              .remedy = "the list of its kind shows those that are there"});
    return outcome;
  }
  outcome.faults = holding(found->second);
  if (!outcome.faults.empty()) {
    return outcome;
  }
  return name.kind == ResourceKind::kScaleSet ? remove_scale_set(found->second) : take_out(found->second, {});
}

void Inventory::forget(Vm& vm) {
  const std::string vm_id = vm.model.vm_id;
  keys_->drop(vm);
  by_resource_id_.erase(ascii_lower(vm.model.id));
  registry_.remove(vm);
  changed_(vm_id);
}

const LiveKey* Inventory::outgoing(const Vm& vm) const { return keys_ == nullptr ? nullptr : keys_->outgoing(vm); }

// A second rotation would end the key before the last, and what is signed with it may still be on its way.
bool Inventory::refuse_second_rotation(const Vm& vm, KeyEnd end, ChangeOutcome& outcome) const {
  if (end == KeyEnd::kAtOnce || outgoing(vm) == nullptr) {
    return false;
  }
  outcome.faults.push_back({.pointer = {},
                            .problem = fmt::format("the key of {} is being rotated", vm.model.name),
                            .remedy =
                                "wait until the agent has latched another and 10 s more, 5 minutes at most; where "
                                "others may know the key: mspctl key reset"});
  return true;
}

Task<Result<ChangeOutcome>> Inventory::end_key(ResourceName name, KeyEnd end, Pauses pauses) {
  ChangeOutcome outcome;
  std::string text;
  const auto found = resources_.find(name);
  const Vm* vm = registry_.find_by_id(name.key);
  if (found != resources_.end() && name.kind == ResourceKind::kScaleSet) {
    text = with_keys_ended(found->second, end, outcome);
  } else if (found != resources_.end() && vm != nullptr) {
    text = with_key_ended(found->second, *vm, end, outcome);
  } else {
    outcome.faults.push_back({.pointer = {}, .problem = "there is no such virtual machine", .remedy = "see the list"});
  }
  if (!outcome.faults.empty()) {
    co_return outcome;
  }
  std::vector<GivenResource> given;
  given.push_back({.text = std::move(text), .as_before = true});
  auto applied = co_await apply(std::move(given), false, end, pauses);
  co_return applied;
}

std::string Inventory::with_key_ended(const Resource& resource, const Vm& vm, KeyEnd end,
                                      ChangeOutcome& outcome) const {
  const auto refuse = [&](std::string problem, std::string remedy) {
    outcome.faults.push_back({.pointer = {}, .problem = std::move(problem), .remedy = std::move(remedy)});
    return std::string();
  };
  if (!resource.file.empty()) {
    return refuse(fmt::format("{} comes from the file {}", resource.label, resource.file),
                  "raise keyIncarnationId in it and restart msp-host");
  }
  if (refuse_second_rotation(vm, end, outcome)) {
    return {};
  }
  const std::uint32_t now = vm.model.proxy_agent.key_incarnation_id;
  if (now == UINT32_MAX) {
    return refuse("keyIncarnationId cannot be raised any more",
                  "it is the highest that there is: give the machine a new vmId, under which nothing is known of it");
  }
  const auto tree = json::parse(resource.text, kResourceFile);
  std::string text;
  if (tree) {
    // An instance has its settings from its set; this one is its own.
    text = scale_sets_.contains(vm.model.scale_set) ? with_own_incarnation(resource.text, *tree, now + 1)
                                                    : with_incarnation(resource.text, *tree, now + 1, kMachineSettings);
  }
  return text.empty() ? refuse("the model has no proxyAgentSettings", "apply a model that has them") : text;
}

}  // namespace msp::gateway
