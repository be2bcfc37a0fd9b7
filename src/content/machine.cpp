// SPDX-License-Identifier: Apache-2.0
#include "content/machine.h"

#include "content/guid.h"
#include "content/instance.h"
#include "content/load_balancer.h"

namespace msp::content {

namespace {

std::vector<std::string> mac_addresses(const json::Value& instance) {
  std::vector<std::string> found;
  const json::Value* interfaces = instance.at("/network/interface");
  const json::Array* all = interfaces == nullptr ? nullptr : interfaces->array();
  for (std::size_t i = 0; all != nullptr && i < all->size(); ++i) {
    const json::Value* mac = (*all)[i].find("macAddress");
    if (mac != nullptr && mac->is_string() && !mac->string()->empty()) {
      found.push_back(*mac->string());
    }
  }
  return found;
}

}  // namespace

const std::string& OlderInstance::text(const std::string& instance_text, std::string_view api_version) {
  if (version_ != api_version) {
    text_ = json::to_text(as_of(instance_of(instance_text), api_version));
    text_.shrink_to_fit();
    version_ = api_version;
  }
  return text_;
}

json::Value instance_of(const std::string& instance_text) {
  auto tree = json::parse(instance_text);
  // It was written from a tree of ours.
  return tree ? std::move(*tree) : json::Value(json::Object());
}

Machine make_machine(const json::Value& model, std::string_view vm_id, std::string_view name, const Vault& vault,
                     const std::string& pointer, json::Problems& problems) {
  Machine machine;
  check_instance_members(model, pointer, problems);
  const json::Value instance = make_instance_document(model, vm_id);
  machine.instance_text = json::to_text(instance);
  machine.instance_text.shrink_to_fit();
  machine.resource_id = *instance.at("/compute/resourceId")->string();
  machine.mac_addresses = mac_addresses(instance);
  machine.load_balancer = load_balancer_text(model, instance, pointer, problems);
  const Extensions extensions = read_extensions(model, pointer, problems);
  Certificates certificates = read_certificates(model, vault, pointer, problems);
  machine.identities = read_identities(model, vm_id, pointer, problems);
  machine.goal_state = make_goal_state(model, vm_id, name, extensions, certificates.thumbprints);
  machine.vm_settings = vm_settings_text(extensions, status_blob_url(machine.goal_state.container_id));
  machine.vm_settings_tag = std::to_string(number_of(machine.vm_settings));  // agents make a file name of it
  machine.certificates = std::move(certificates.pkcs12);
  return machine;
}

}  // namespace msp::content
