// SPDX-License-Identifier: Apache-2.0
// The goal state of one machine, and the documents that WireServer hands out with it, made from its model.
// Values and pure functions; any thread.
// Nothing fails; what the model says is escaped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "content/extensions.h"

namespace msp::content {

inline constexpr std::string_view kWireVersion = "2012-11-30";

/// What a guest's agent compares and asks with.
struct GoalState {
  std::string container_id;   ///< GUID: the machine's vmId
  std::string deployment_id;  ///< GUID, of the resource group
  std::string instance_id;    ///< "<deployment>._<role>"
  std::string role;           ///< the machine's name, of letters that need no escape
  std::string address;        ///< its first private address; may be empty
  std::string incarnation;  ///< decimal; another one whenever a document says something else, the same after a restart
  std::string plugins;      ///< XML of its extensions
  bool has_certificates = false;
};

/// `certificates`: what they are, as far as a change of them matters; empty: none.
GoalState make_goal_state(const json::Value& model, std::string_view vm_id, std::string_view name,
                          const Extensions& extensions, std::string_view certificates);

std::string goal_state_document(const GoalState& goal);
std::string hosting_environment_document(const GoalState& goal);
std::string shared_config_document(const GoalState& goal);
std::string extensions_document(const GoalState& goal);
/// `envelope`: DER of CMS EnvelopedData for the one who asks.
std::string certificates_document(const GoalState& goal, std::string_view envelope_base64);

/// Where an agent may put its status blob: here, too.
std::string status_blob_url(std::string_view container_id);

}  // namespace msp::content
