// SPDX-License-Identifier: Apache-2.0
// All that is served to one machine, made from its model when that is read, so that answering is looking up.
// Owned by whoever owns the machine; immutable; loop's thread.
// What is wrong with the model is a problem with its place.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/json_fields.h"
#include "base/secret.h"
#include "content/certificates.h"
#include "content/goal_state.h"
#include "content/identities.h"

namespace msp::content {

struct Machine {
  json::Value instance;
  std::string instance_text;  ///< compact JSON of `instance`
  Identities identities;
  GoalState goal_state;
  std::string load_balancer;  ///< JSON; empty: there is none
  std::string vm_settings;
  std::string vm_settings_tag;  ///< changes with it; decimal digits
  Secret certificates;          ///< PKCS#12; empty: none
};

/// `model` stands at `pointer` of what `problems` are about.
Machine make_machine(const json::Value& model, std::string_view vm_id, std::string_view name, const Vault& vault,
                     const std::string& pointer, json::Problems& problems);

}  // namespace msp::content
