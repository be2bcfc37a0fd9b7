// SPDX-License-Identifier: Apache-2.0
#include "gateway/vm_registry.h"

#include <fmt/format.h>

#include "base/file.h"
#include "gateway/instance.h"

namespace msp::gateway {
namespace {

Result<ServicePolicy> resolve(const ProxyAgentSettings& settings, const EndpointSettings& endpoint, Service service,
                              const ProfileCatalog& profiles) {
  ServicePolicy policy;
  const ProfileVersion* profile = nullptr;
  if (!endpoint.profile_reference.empty()) {
    profile = profiles.find(endpoint.profile_reference);
    if (profile == nullptr) {
      return config_error(fmt::format("the profile version {} is not there", endpoint.profile_reference),
                          "name its file under accessControlProfiles");
    }
    if (profile->endpoint && *profile->endpoint != service) {
      return config_error(
          fmt::format("the profile version {} is for {}", endpoint.profile_reference, to_string(*profile->endpoint)),
          "refer to a profile whose applicableHostEndpoint fits");
    }
  }
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
  policy.default_allow = profile->default_allow;
  policy.rules = profile->rules;
  return policy;
}

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

Result<Vm> make_vm(VmModel model, const ProfileCatalog& profiles) {
  Vm vm;
  auto imds = resolve(model.proxy_agent, model.proxy_agent.imds, Service::kImds, profiles);
  if (!imds) {
    return std::move(imds).error().context(fmt::format("virtual machine {}, imds", model.name));
  }
  auto wire_server = resolve(model.proxy_agent, model.proxy_agent.wire_server, Service::kWireServer, profiles);
  if (!wire_server) {
    return std::move(wire_server).error().context(fmt::format("virtual machine {}, wireServer", model.name));
  }
  vm.imds = std::move(*imds);
  vm.wire_server = std::move(*wire_server);
  vm.instance = make_instance_document(model);
  vm.instance_text = json::to_text(vm.instance);
  vm.addresses = model.private_addresses;
  vm.model = std::move(model);
  return vm;
}

Result<VmRegistry> VmRegistry::load(const Config& config) {
  ProfileCatalog profiles;
  for (const std::string& path : config.profiles) {
    if (auto added = profiles.add_file(path); !added) {
      return std::move(added).error();
    }
  }
  auto machines = machines_of(config);
  if (!machines) {
    return std::move(machines).error();
  }
  VmRegistry registry;
  for (VirtualMachineConfig& machine : *machines) {
    auto model = load_model(machine.model);
    if (!model) {
      return std::move(model).error();
    }
    auto vm = make_vm(std::move(*model), profiles);
    if (!vm) {
      return std::move(vm).error().context(machine.model);
    }
    if (!machine.source_addresses.empty()) {
      vm->addresses = std::move(machine.source_addresses);
    }
    if (auto added = registry.add(std::move(*vm)); !added) {
      return std::move(added).error().context(machine.model);
    }
  }
  return registry;
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
    if (const Vm* other = find(address)) {
      return config_error(fmt::format("{} is a source address of {} and of {}",
                                      address_text({.address = address, .port = 0}), other->model.name, vm.model.name),
                          "a source address names one virtual machine");
    }
  }
  auto owned = std::make_unique<Vm>(std::move(vm));
  for (const Ipv4Address& address : owned->addresses) {
    by_address_.emplace(number(address), owned.get());
  }
  vms_.push_back(std::move(owned));
  return {};
}

Vm* VmRegistry::find_by_id(std::string_view vm_id) {
  for (const auto& vm : vms_) {
    if (vm->model.vm_id == vm_id) {
      return vm.get();
    }
  }
  return nullptr;
}

}  // namespace msp::gateway
