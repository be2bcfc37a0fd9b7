// SPDX-License-Identifier: Apache-2.0
#include "content/machine.h"

#include "content/guid.h"
#include "content/instance.h"
#include "content/load_balancer.h"

namespace msp::content {
Machine make_machine(const json::Value& model, std::string_view vm_id, std::string_view name, const Vault& vault,
                     const std::string& pointer, json::Problems& problems) {
  Machine machine;
  machine.instance = make_instance_document(model, vm_id);
  machine.instance_text = json::to_text(machine.instance);
  machine.load_balancer = load_balancer_text(model, machine.instance, pointer, problems);
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
