// SPDX-License-Identifier: Apache-2.0
// How a change is put together beside what holds, checked as a whole, stored, and only then made true.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/crypto.h"
#include "base/log.h"
#include "gateway/inventory_staged.h"
#include "gateway/misplaced.h"
#include "gateway/source_addresses.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kMostBytes = std::size_t{16} << 20;
constexpr std::size_t kMostNodes = 2'000'000;

/// The kind of a resource by its type, or by its id where it has none; nothing: none of ours.
std::optional<ResourceKind> kind_of(const json::Value& tree) {
  const auto text = [&](std::string_view name) {
    const json::Value* value = tree.find(name);
    return value != nullptr && value->is_string() ? ascii_lower(*value->string()) : std::string();
  };
  const std::string type = text("type");
  const std::string id = text("id");
  if (is_profile_id(id) && (type.empty() || is_profile_id(type + "/"))) {
    return profile_of(id).empty() ? ResourceKind::kProfile : ResourceKind::kProfileVersion;
  }
  if (type == "microsoft.compute/virtualmachinescalesets" || (type.empty() && is_scale_set_id(id))) {
    return ResourceKind::kScaleSet;
  }
  const bool machine = type.empty() || type == "microsoft.compute/virtualmachines" ||
                       type == "microsoft.compute/virtualmachinescalesets/virtualmachines";
  return machine ? std::optional(ResourceKind::kVirtualMachine) : std::nullopt;
}

/// Eight digits that change with what a version says, and not with how it is written.
std::string revision_of(const json::Value& tree) {
  const json::Value* properties = tree.find("properties");
  const auto digest = sha256(as_bytes(properties == nullptr ? std::string() : json::to_text(*properties)));
  return digest ? hex_encode(Bytes(*digest).first(4)) : std::string("unknown");
}

const char* const kNoJson = "give JSON as Azure Resource Manager exports it";
const char* const kSetAddresses = "give source addresses beside it, or a privateIPAddress in its network interfaces";
const char* const kOneAddress =
    "a source address names one virtual machine of each network, and one that is of none: give another address or "
    "network, or delete that machine first";

}  // namespace

Task<Inventory::Staged> Inventory::stage(const std::vector<GivenResource>& given, Pauses& pauses) const {
  Staged staged{.profiles = profiles_};
  for (std::size_t i = 0; i < given.size(); ++i) {
    stage_one(staged, i, given[i]);
    if (pauses.due()) {
      co_await pauses.turn();
    }
  }
  // Profiles and scale sets of the same change are all there now.
  check_scale_sets(staged);
  check_sets_are_there(staged, given);
  co_await build_machines(staged, pauses);
  co_await build_affected(staged, pauses);
  check_places(staged);
  co_await check_incarnations(staged, pauses);
  co_return staged;
}

void Inventory::stage_one(Staged& staged, std::size_t index, const GivenResource& given) const {
  const auto tree =
      json::parse(given.text, {.max_bytes = kMostBytes, .max_nodes = kMostNodes, .source = Source::kClient});
  if (!tree) {
    staged.fail(index, {}, tree.error().message, kNoJson);
    return;
  }
  if (tree->find("$schema") != nullptr && tree->find("resources") != nullptr) {
    staged.fail(index, {}, "is a template: its resources are not there before it is deployed",
                "give what was made from it: 'az resource show --ids ID' or 'az rest' writes a resource whole");
    return;
  }
  const auto kind = kind_of(*tree);
  if (!kind) {
    staged.fail(index, "/type",
                "is neither a virtual machine nor a scale set nor an access control profile nor a version of one",
                "give a resource of one of these types");
    return;
  }
  check_misplaced(staged, index, *tree, *kind, given);
  Resource resource{.name = {.kind = *kind, .key = {}},
                    .label = {},
                    .text = given.text,
                    .file = {},
                    .addresses = given.addresses.value_or(std::vector<Ipv4Address>()),
                    .interfaces = given.interfaces.value_or(std::vector<std::string>()),
                    .network = given.network.value_or(std::string())};
  if (*kind == ResourceKind::kVirtualMachine) {
    stage_machine(staged, index, std::move(resource), *tree, given);
  } else if (*kind == ResourceKind::kScaleSet) {
    stage_scale_set(staged, index, std::move(resource), *tree);
  } else {
    stage_profile(staged, index, std::move(resource), *tree);
  }
}

// What was applied before is served as it is: a host that does not start closes nothing, and an ended key must end.
void Inventory::check_misplaced(Staged& staged, std::size_t index, const json::Value& tree, ResourceKind kind,
                                const GivenResource& given) {
  json::Problems problems({}, "resource");
  refuse_misplaced(tree, kind, {}, problems);
  if (!given.as_before) {
    staged.fail(index, problems);
    return;
  }
  const json::Value* const name = tree.find("name");
  for (const json::Problem& problem : problems.list()) {
    log::warn("{} was applied before with what is passed over: {} {}",
              name != nullptr && name->is_string() ? *name->string() : std::string("a resource"), problem.pointer,
              problem.message);
  }
}

void Inventory::stage_profile(Staged& staged, std::size_t index, Resource resource, const json::Value& tree) const {
  json::Problems problems({}, "resource");
  staged.profiles.put(tree, {}, revision_of(tree), problems);
  staged.fail(index, problems);
  if (!problems.empty()) {
    return;
  }
  resource.label = *tree.find("id")->string();
  resource.name.key = ascii_lower(resource.label);
  admit(staged, index, std::move(resource), "/id");
}

void Inventory::stage_machine(Staged& staged, std::size_t index, Resource resource, const json::Value& tree,
                              const GivenResource& given) const {
  json::Problems problems({}, "resource");
  VmModel model = read_model(tree, {}, problems);
  staged.fail(index, problems);
  if (!problems.empty()) {
    return;
  }
  // What /metadata/instance is made from.
  model.document = tree;
  model.scale_set = scale_set_of(tree);
  resource.label = model.name;
  resource.name.key = model.vm_id;
  if (const auto known = resources_.find(resource.name); known != resources_.end()) {
    if (!given.addresses) {
      resource.addresses = known->second.addresses;
    }
    if (!given.interfaces) {
      resource.interfaces = known->second.interfaces;
    }
    if (!given.network) {
      resource.network = known->second.network;
    }
  }
  check_network(staged, index, given.network.value_or(std::string()));
  staged.machines[model.vm_id] = {
      .given = index, .asked_for = true, .addresses = resource.addresses, .network = resource.network};
  staged.models.emplace_back(index, std::move(model));
  admit(staged, index, std::move(resource), "/properties/vmId");
}

// A name that is mistyped would cut the machine off. What was applied before is only warned of: its listener may come
// back, and whatever else is known is to be served.
void Inventory::check_network(Staged& staged, std::size_t index, const std::string& network) const {
  if (network.empty() || std::ranges::find(networks_, network) != networks_.end()) {
    return;
  }
  if (store_ == nullptr) {
    log::warn("no listener has the interface {}: machines of this network are not heard", network);
    return;
  }
  staged.fail(index, {}, fmt::format("no listener has the interface {}, so the machine would not be heard", network),
              "name the interface of a listener as its network, or give a listener this one and reload msp-host");
}

void Inventory::admit(Staged& staged, std::size_t index, Resource resource, const char* name_at) const {
  if (const auto known = resources_.find(resource.name); known != resources_.end() && !known->second.file.empty()) {
    staged.fail(index, name_at, fmt::format("{} comes from the file {}", known->second.label, known->second.file),
                "a file wins: change it there and restart msp-host, or take it out of the configuration's files");
  }
  if (!staged.given.emplace(resource.name, index).second) {
    staged.fail(index, name_at, fmt::format("{} occurs twice", resource.label), "give each resource once");
  }
  staged.resources.push_back(std::move(resource));
}

Task<void> Inventory::build_machines(Staged& staged, Pauses& pauses) const {
  for (auto& [index, model] : staged.models) {
    json::Problems problems({}, "resource");
    Staged::Machine& machine = staged.machines[model.vm_id];
    join_scale_set(staged, model);
    machine.vm = make_vm(std::move(model), staged.profiles, vault_, {}, problems);
    if (!machine.addresses.empty()) {
      machine.vm.addresses = machine.addresses;
    }
    machine.vm.network = machine.network;
    staged.fail(index, problems);
    if (pauses.due()) {
      co_await pauses.turn();
    }
  }
}

// Machines that nobody gave, but whose allowlist or scale set is another now.
Task<void> Inventory::build_affected(Staged& staged, Pauses& pauses) const {
  const auto touched = [&](const std::string& reference) -> std::optional<std::size_t> {
    const std::string key = ascii_lower(reference);
    auto found = staged.given.find({.kind = ResourceKind::kProfileVersion, .key = key});
    if (found == staged.given.end()) {
      found = staged.given.find({.kind = ResourceKind::kProfile, .key = profile_of(key)});
    }
    return found == staged.given.end() ? std::nullopt : std::optional(found->second);
  };
  for (const auto& vm : registry_.all()) {
    const ProxyAgentSettings& settings = vm->model.proxy_agent;
    auto by = touched(settings.imds.profile_reference);
    by = by ? by : touched(settings.wire_server.profile_reference);
    if (const auto set = staged.sets.find(vm->model.scale_set);
        set != staged.sets.end() && !vm->model.scale_set.empty()) {
      if (!set->second.good) {
        continue;
      }
      by = set->second.given;
    }
    if (!by || staged.machines.contains(vm->model.vm_id)) {
      continue;
    }
    rebuild(staged, *vm, *by);
    if (pauses.due()) {
      co_await pauses.turn();
    }
  }
}

void Inventory::rebuild(Staged& staged, const Vm& vm, std::size_t given) const {
  const auto known = resources_.find({.kind = ResourceKind::kVirtualMachine, .key = vm.model.vm_id});
  const auto tree = json::parse(known->second.text, kResourceFile);
  if (!tree) {
    staged.fail(given, {}, tree.error().message, kNoJson);
    return;
  }
  json::Problems problems({}, "resource");
  VmModel model = read_model(*tree, {}, problems);
  model.document = *tree;
  if (known->second.file.empty()) {
    model.scale_set = scale_set_of(*tree);
    join_scale_set(staged, model);
  }
  Vm built = make_vm(std::move(model), staged.profiles, vault_, {}, problems);
  built.addresses = vm.addresses;
  built.network = vm.network;
  for (const json::Problem& problem : problems.list()) {
    staged.fail(given, {}, fmt::format("virtual machine {}, {}: {}", vm.model.name, problem.pointer, problem.message),
                "a change must fit to every machine that refers to it");
  }
  staged.machines[vm.model.vm_id] = {.given = given, .asked_for = false, .addresses = {}, .vm = std::move(built)};
}

// Addresses and resource ids belong to one machine each, of those that are there once the change is made.
void Inventory::check_places(Staged& staged) const {
  std::map<std::pair<Ipv4Address, std::string>, const Vm*> taken;
  std::map<std::string, std::string> ids;
  for (const auto& [vm_id, machine] : staged.machines) {
    const std::string& name = machine.vm.model.name;
    if (!machine.asked_for || name.empty()) {
      continue;
    }
    if (machine.vm.addresses.empty()) {
      staged.fail(machine.given, "/properties/networkProfile", "there is no source address", kSetAddresses);
    }
    for (const Ipv4Address& address : machine.vm.addresses) {
      const Vm* owner = registry_.holder(address, machine.vm.network);
      const bool stays =
          owner != nullptr && owner->model.vm_id != vm_id &&
          (!staged.machines.contains(owner->model.vm_id) || !staged.machines.at(owner->model.vm_id).asked_for);
      // What was applied before is served as it is.
      if (const auto why = why_no_source(address); store_ != nullptr && !why.empty()) {
        staged.fail(machine.given, "/properties/networkProfile",
                    fmt::format("{} is no source address: {}", place_text(address, {}), why), kSetAddresses);
      }
      const auto [first, fresh] = taken.emplace(std::pair(address, machine.vm.network), &machine.vm);
      if (!fresh && first->second == &machine.vm) {
        staged.fail(machine.given, "/properties/networkProfile",
                    fmt::format("{} is named twice", place_text(address, {})), "name each source address once");
      } else if (stays || !fresh) {
        staged.fail(machine.given, "/properties/networkProfile",
                    fmt::format("{} is a source address of {}", place_text(address, machine.vm.network),
                                stays ? owner->model.name : first->second->model.name),
                    kOneAddress);
      }
    }
    if (machine.vm.model.id.empty()) {
      continue;
    }
    const std::string id = ascii_lower(machine.vm.model.id);
    const auto known = by_resource_id_.find(id);
    const bool others = known != by_resource_id_.end() && known->second != vm_id;
    if (others || !ids.emplace(id, vm_id).second) {
      staged.fail(machine.given, "/id",
                  fmt::format("the virtual machine {} has this id", others ? known->second : ids[id]),
                  "keys belong to the vmId: delete the old machine first");
    }
  }
}

Task<void> Inventory::check_incarnations(Staged& staged, Pauses& pauses) const {
  for (const auto& [vm_id, machine] : staged.machines) {
    if (store_ == nullptr || (!machine.asked_for && !has_new_incarnation(machine.vm))) {
      continue;
    }
    const auto known = store_->incarnation(vm_id);
    const std::uint32_t given = machine.vm.model.proxy_agent.key_incarnation_id;
    if (!known || (known->has_value() && given < **known)) {
      staged.fail(
          machine.given, "/properties/securityProfile/proxyAgentSettings/keyIncarnationId",
          known ? fmt::format("{} is lower than before ({})", given, known->value_or(0)) : known.error().message,
          "an old key could come back: give the highest value it ever had, or a higher one to reset the key");
    }
    if (pauses.due()) {
      co_await pauses.turn();
    }
  }
}

ModelChange Inventory::to_store(const Staged& staged) const {
  ModelChange change;
  for (const Resource& resource : staged.resources) {
    change.put.push_back({.name = resource.name,
                          .text = resource.text,
                          .addresses = join_addresses(resource.addresses),
                          .interfaces = join_names(resource.interfaces),
                          .network = resource.network});
  }
  for (const auto& [vm_id, machine] : staged.machines) {
    if (machine.asked_for || has_new_incarnation(machine.vm)) {
      change.entered.push_back({.vm_id = vm_id, .incarnation = machine.vm.model.proxy_agent.key_incarnation_id});
    }
  }
  return change;
}

Task<ChangeOutcome> Inventory::outcome_of(Staged& staged, Pauses& pauses) const {
  ChangeOutcome outcome;
  outcome.faults = std::move(staged.faults);
  if (!outcome.faults.empty()) {
    co_return outcome;
  }
  for (const Resource& resource : staged.resources) {
    const auto known = resources_.find(resource.name);
    const bool there = known != resources_.end();
    const bool same = there && known->second.text == resource.text && known->second.addresses == resource.addresses &&
                      known->second.interfaces == resource.interfaces && known->second.network == resource.network;
    outcome.resources.push_back({.name = resource.name,
                                 .label = resource.label,
                                 .effect = same    ? Effect::kNone
                                           : there ? Effect::kChanged
                                                   : Effect::kCreated});
  }
  for (const auto& [vm_id, machine] : staged.machines) {
    GuestChange change = guest_change(registry_.find_by_id(vm_id), &machine.vm);
    if (!change.differences.empty()) {
      outcome.guests.push_back(std::move(change));
    }
    if (pauses.due()) {
      co_await pauses.turn();
    }
  }
  co_return outcome;
}

Task<Result<ChangeOutcome>> Inventory::apply(std::vector<GivenResource> given, bool dry_run, KeyEnd end,
                                             Pauses pauses) {
  Staged staged = co_await stage(given, pauses);
  ChangeOutcome outcome = co_await outcome_of(staged, pauses);
  if (!outcome.faults.empty() || dry_run) {
    co_return outcome;
  }
  if (auto stored = store_->change(to_store(staged)); !stored) {
    co_return std::move(stored).error();
  }
  for (const ResourceEffect& effect : outcome.resources) {
    log::info("{} is {}", effect.label, to_string(effect.effect));
  }
  commit(std::move(staged), end);
  co_return outcome;
}

// Nothing in here may fail: the store has the change.
void Inventory::commit(Staged staged, KeyEnd end) {
  profiles_ = std::move(staged.profiles);
  for (auto& [id, set] : staged.sets) {
    scale_sets_[id] = std::move(set.set);
  }
  for (Resource& resource : staged.resources) {
    const ResourceName name = resource.name;
    resources_.insert_or_assign(name, std::move(resource));
  }
  // Those that are there first: a new one may get the address that one of them gives up.
  std::vector<std::string> fresh;
  for (auto& [vm_id, machine] : staged.machines) {
    if (Vm* vm = registry_.find_by_id(vm_id)) {
      by_resource_id_.erase(ascii_lower(vm->model.id));
      change(*vm, std::move(machine.vm), end);
    } else {
      fresh.push_back(vm_id);
    }
  }
  for (const std::string& vm_id : fresh) {
    enter(std::move(staged.machines[vm_id].vm));
  }
  for (const auto& [vm_id, machine] : staged.machines) {
    const Vm* vm = registry_.find_by_id(vm_id);
    if (vm != nullptr && !vm->model.id.empty()) {
      by_resource_id_[ascii_lower(vm->model.id)] = vm_id;
    }
    if (changed_) {
      changed_(vm_id);
    }
  }
}

void Inventory::change(Vm& vm, Vm to, KeyEnd end) {
  const std::uint32_t before = vm.model.proxy_agent.key_incarnation_id;
  registry_.replace(vm, std::move(to));
  if (keys_ == nullptr || vm.model.proxy_agent.key_incarnation_id == before) {
    return;
  }
  if (end == KeyEnd::kAtOnce) {
    keys_->drop(vm);
  } else {
    keys_->rotate(vm);
  }
}

void Inventory::enter(Vm vm) {
  const std::string vm_id = vm.model.vm_id;
  if (auto added = registry_.add(std::move(vm)); !added) {
    log::bug("a machine that was checked cannot be added: {}", added.error().text());
    return;
  }
  Vm& added = *registry_.find_by_id(vm_id);
  // Without its keys it stays closed: the store will not latch a second one.
  if (auto adopted = keys_ == nullptr ? Result<void>() : keys_->adopt(added); !adopted) {
    log::write(std::move(adopted).error().context("keys of " + added.model.name));
  }
}

Result<void> Inventory::open(ModelStore& store, Opening how) {
  auto stored = store.resources();
  if (!stored) {
    return std::move(stored).error();
  }
  std::vector<GivenResource> given;
  std::vector<std::string> names;
  ModelChange superseded;
  for (StoredResource& resource : *stored) {
    if (resources_.contains(resource.name)) {
      if (how == Opening::kForGood) {
        log::warn("{} was applied before and is named by a file now: the file holds", resource.name.key);
      }
      superseded.removed.push_back(std::move(resource.name));
      continue;
    }
    auto addresses = split_addresses(resource.addresses);
    if (!addresses) {
      return std::move(addresses).error().context("database");
    }
    names.push_back(resource.name.key);
    given.push_back({.text = std::move(resource.text),
                     .addresses = std::move(*addresses),
                     .interfaces = split_names(resource.interfaces),
                     .network = std::move(resource.network),
                     .as_before = true});
  }
  Pauses none;
  Staged staged = stage(given, none).result();
  // A certificate that is not there now is missing in one machine; a host that does not start serves none.
  std::erase_if(staged.faults, [&](const Fault& fault) {
    const bool minor = fault.pointer.ends_with("/certificateUrl");
    if (minor && how == Opening::kForGood) {
      log::error("{} {}: {}; it is served without", names[fault.resource], fault.pointer, fault.problem);
      log::hint("put the certificate back into the host's certificateDirectory and reload msp-host");
    }
    return minor;
  });
  if (!staged.faults.empty()) {
    Error error = config_error("what was applied before does not fit to the files of the configuration",
                               "put back what the files said, or mend them");
    for (const Fault& fault : staged.faults) {
      error.message += fmt::format("\n  {} {}: {}", names[fault.resource], fault.pointer, fault.problem);
    }
    return error;
  }
  if (how == Opening::kForGood && !superseded.removed.empty()) {
    if (auto removed = store.change(superseded); !removed) {
      return removed;
    }
  }
  commit(std::move(staged), KeyEnd::kAtOnce);
  store_ = &store;
  return {};
}

}  // namespace msp::gateway
