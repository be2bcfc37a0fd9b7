// SPDX-License-Identifier: Apache-2.0
#include "content/machine.h"

#include "base/crypto.h"
#include "content/instance.h"

namespace msp::content {
namespace {

/// Agents of the field make a file name of it: digits only.
std::string tag_of(std::string_view text) {
  std::uint64_t number = 0;
  if (const auto digest = sha256(as_bytes(text)); digest) {
    for (const std::uint8_t byte : Bytes(*digest).first(sizeof(number))) {
      number = number << 8 | byte;
    }
  }
  return std::to_string(number);
}

}  // namespace

Machine make_machine(const json::Value& model, std::string_view vm_id, std::string_view name, const Vault& vault,
                     const std::string& pointer, json::Problems& problems) {
  Machine machine;
  machine.instance = make_instance_document(model, vm_id);
  machine.instance_text = json::to_text(machine.instance);
  const Extensions extensions = read_extensions(model, pointer, problems);
  Certificates certificates = read_certificates(model, vault, pointer, problems);
  machine.goal_state = make_goal_state(model, vm_id, name, extensions, certificates.thumbprints);
  machine.vm_settings = vm_settings_text(extensions, status_blob_url(machine.goal_state.container_id));
  machine.vm_settings_tag = tag_of(machine.vm_settings);
  machine.certificates = std::move(certificates.pkcs12);
  return machine;
}

}  // namespace msp::content
