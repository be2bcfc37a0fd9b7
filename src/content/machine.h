// SPDX-License-Identifier: Apache-2.0
// All that is served to one machine, made from its model when that is read, so that answering is looking up.
// Owned by whoever owns the machine; immutable, but for an answer that is kept for the next request; loop's thread.
// What is wrong with the model is a problem with its place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/json_fields.h"
#include "base/secret.h"
#include "content/certificates.h"
#include "content/goal_state.h"
#include "content/identities.h"

namespace msp::content {

/// The whole document as an older api-version has it. What a guest asks by is the same each time, and making the text
/// costs more than all the rest of the request: the last one is kept.
class OlderInstance {
 public:
  /// `instance_text`: always of the same machine.
  const std::string& text(const std::string& instance_text, std::string_view api_version);

 private:
  std::string version_;
  std::string text_;
};

struct Machine {
  /// The document behind /metadata/instance, compact JSON. As a tree it would be six times as large, and the whole of
  /// it is what is asked for; who wants a part of it reads it (instance_of()).
  std::string instance_text;
  mutable OlderInstance older_instance;
  std::string resource_id;                 ///< of that document, as the next ones
  std::vector<std::string> mac_addresses;  ///< that are given
  Identities identities;
  GoalState goal_state;
  std::string load_balancer;  ///< JSON; empty: there is none
  std::string vm_settings;
  std::string vm_settings_tag;  ///< changes with it; decimal digits
  Secret certificates;          ///< PKCS#12; empty: none
};

/// The document behind /metadata/instance as a tree.
json::Value instance_of(const std::string& instance_text);

/// `model` stands at `pointer` of what `problems` are about.
Machine make_machine(const json::Value& model, std::string_view vm_id, std::string_view name, const Vault& vault,
                     const std::string& pointer, json::Problems& problems);

}  // namespace msp::content
