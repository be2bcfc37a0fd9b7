// SPDX-License-Identifier: Apache-2.0
#include "gateway/vm_registry.h"

#include <fmt/format.h>

#include "gateway/source_addresses.h"

namespace msp::gateway {
namespace {

/// The profile version that an endpoint refers to; null: none, or a problem.
const ProfileVersion* referred(const EndpointSettings& endpoint, Service service, const ProfileCatalog& profiles,
                               const std::string& pointer, json::Problems& problems) {
  if (endpoint.profile_reference.empty()) {
    return nullptr;
  }
  const ProfileVersion* profile = profiles.find(endpoint.profile_reference);
  if (profile == nullptr) {
    problems.add(pointer, 0, fmt::format("the profile version {} is not there", endpoint.profile_reference));
    return nullptr;
  }
  if (profile->endpoint && *profile->endpoint != service) {
    problems.add(
        pointer, 0,
        fmt::format("the profile version {} is for {}", endpoint.profile_reference, to_string(*profile->endpoint)));
    return nullptr;
  }
  return profile;
}

ServicePolicy resolve(const ProxyAgentSettings& settings, const EndpointSettings& endpoint,
                      const ProfileVersion* profile) {
  ServicePolicy policy;
  const std::optional<Mode> profile_mode = profile == nullptr ? std::nullopt : profile->mode;
  const std::optional<Mode> general = profile_mode ? profile_mode : settings.mode;
  const Mode mode = endpoint.mode ? *endpoint.mode : general.value_or(Mode::kEnforce);
  policy.mode = settings.enabled ? mode : Mode::kDisabled;
  if (profile == nullptr) {
    policy.rule_id = fmt::format("openmsp-no-profile-{}", to_string(mode));
    return policy;
  }
  policy.rule_id = ascii_upper(endpoint.profile_reference);
  if (profile_mode != mode) {
    policy.rule_id += ascii_upper(fmt::format("/modes/{}", to_string(mode)));
  }
  if (!profile->revision.empty()) {
    policy.rule_id += ascii_upper(fmt::format("/revisions/{}", profile->revision));
  }
  policy.default_allow = profile->default_allow;
  policy.rules = profile->rules;
  return policy;
}

}  // namespace

Policies resolve_policies(const ProxyAgentSettings& settings, const ProfileCatalog& profiles,
                          const std::string& settings_at, json::Problems& problems) {
  const auto policy = [&](const EndpointSettings& endpoint, Service service, std::string_view name) {
    const std::string at = fmt::format("{}/{}/inVMAccessControlProfileReferenceId", settings_at, name);
    return resolve(settings, endpoint, referred(endpoint, service, profiles, at, problems));
  };
  return {.imds = policy(settings.imds, Service::kImds, "imds"),
          .wire_server = policy(settings.wire_server, Service::kWireServer, "wireServer")};
}

Vm make_vm(VmModel model, const ProfileCatalog& profiles, const content::Vault& vault, const std::string& pointer,
           json::Problems& problems) {
  Policies policies = resolve_policies(model.proxy_agent, profiles,
                                       pointer + "/properties/securityProfile/proxyAgentSettings", problems);
  Vm vm;
  vm.imds = std::move(policies.imds);
  vm.wire_server = std::move(policies.wire_server);
  vm.content = content::make_machine(model.document, model.vm_id, model.name, vault, pointer, problems);
  vm.addresses = model.private_addresses;
  vm.model = std::move(model);
  vm.model.document = {};
  return vm;
}

Result<Vm> make_vm(VmModel model, const ProfileCatalog& profiles, const content::Vault& vault) {
  const std::string name = "virtual machine " + model.name;
  json::Problems problems({}, name);
  Vm vm = make_vm(std::move(model), profiles, vault, {}, problems);
  if (auto result = problems.result(); !result) {
    Error error = std::move(result).error();
    error.hint = "refer to profile versions and certificates that are there, and to versions whose endpoint fits";
    return error;
  }
  return vm;
}

Result<void> VmRegistry::add(Vm vm) {
  if (vm.addresses.empty()) {
    return config_error(fmt::format("virtual machine {} has no source address", vm.model.name),
                        "give sourceAddresses, or a privateIPAddress in its model");
  }
  if (find_by_id(vm.model.vm_id) != nullptr) {
    return config_error(fmt::format("the vmId {} occurs twice", vm.model.vm_id),
                        "keys belong to a vmId, so each machine needs its own");
  }
  for (const Ipv4Address& address : vm.addresses) {
    if (const Vm* other = holder(address, vm.network)) {
      return config_error(fmt::format("{} is a source address of {} and of {}", place_text(address, vm.network),
                                      other->model.name, vm.model.name),
                          "a source address names one virtual machine of each network, and one that is of none");
    }
  }
  auto owned = std::make_unique<Vm>(std::move(vm));
  by_id_.emplace(owned->model.vm_id, owned.get());
  take_place(*owned);
  vms_.push_back(std::move(owned));
  return {};
}

void VmRegistry::take_place(Vm& vm) {
  for (const Ipv4Address& address : vm.addresses) {
    by_place_[Place{.address = number(address), .network = vm.network}] = &vm;
  }
}

void VmRegistry::give_up_place(const Vm& vm) {
  for (const Ipv4Address& address : vm.addresses) {
    const auto found = by_place_.find(PlaceView{.address = number(address), .network = vm.network});
    // Of two that exchange addresses, the first has taken the second's by now.
    if (found != by_place_.end() && found->second == &vm) {
      by_place_.erase(found);
    }
  }
}

void VmRegistry::replace(Vm& old, Vm vm) {
  give_up_place(old);
  vm.counters = old.counters;
  vm.nonces = std::move(old.nonces);
  vm.moves = old.moves;
  if (vm.model.proxy_agent.key_incarnation_id != old.model.proxy_agent.key_incarnation_id) {
    vm.counters.key_asked = 0;
    vm.counters.key_asked_ns = 0;
    vm.counters.key_used_by_others = 0;
    vm.counters.askers = {};
  }
  vm.imds_rate = old.imds_rate;
  vm.identity_rate = old.identity_rate;
  vm.key_rate = old.key_rate;
  vm.latched = old.latched;
  vm.outgoing = old.outgoing;
  vm.pending = std::move(old.pending);
  old = std::move(vm);
  take_place(old);
}

void VmRegistry::remove(Vm& vm) {
  give_up_place(vm);
  by_id_.erase(vm.model.vm_id);
  std::erase_if(vms_, [&](const auto& each) { return each.get() == &vm; });
}

Vm* VmRegistry::find_by_id(const std::string& vm_id) const {
  const auto found = by_id_.find(vm_id);
  return found == by_id_.end() ? nullptr : found->second;
}

}  // namespace msp::gateway
