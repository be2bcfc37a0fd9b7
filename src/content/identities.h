// SPDX-License-Identifier: Apache-2.0
// The managed identities of a machine, as its model has them (ARM: identity), and which of them a request means.
// Values and pure functions; any thread.
// What is wrong with the model is a problem with its place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/json_fields.h"

namespace msp::content {

struct Identity {
  bool system = false;
  std::string principal_id;  ///< object id
  std::string client_id;
  std::string resource_id;  ///< of a user-assigned one: its own; of the system-assigned one: the machine's
};

struct Identities {
  std::string tenant_id;
  std::vector<Identity> all;
};

/// `identity` of a model that stands at `pointer`. Ids that a template does not have, or ARM never says, are made from
/// what they belong to.
Identities read_identities(const json::Value& model, std::string_view vm_id, const std::string& pointer,
                           json::Problems& problems);

enum class IdentityBy : std::uint8_t { kNothing, kClientId, kObjectId, kResourceId };
/// What a request says.
struct IdentityChoice {
  IdentityBy by = IdentityBy::kNothing;
  std::string_view value{};
};

enum class NoIdentity : std::uint8_t { kNone, kAmbiguous };
/// Without a choice: the system-assigned one, or else the only one there is.
std::variant<const Identity*, NoIdentity> choose(const Identities& identities, const IdentityChoice& choice);

}  // namespace msp::content
