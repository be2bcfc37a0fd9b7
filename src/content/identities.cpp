// SPDX-License-Identifier: Apache-2.0
#include "content/identities.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "content/guid.h"

namespace msp::content {
namespace {

std::string given_or(json::ObjectReader& reader, std::string_view name, std::string_view seed) {
  const std::string given = reader.string(name, "");
  return given.empty() ? guid_of(fmt::format("{}\n{}", name, ascii_lower(seed))) : given;
}

Identity read_one(json::ObjectReader& reader, json::ObjectReader& client_reader, bool system, std::string resource_id,
                  std::string_view seed) {
  Identity read{.system = system, .principal_id = {}, .client_id = {}, .resource_id = std::move(resource_id)};
  read.principal_id = given_or(reader, "principalId", seed);
  read.client_id = given_or(client_reader, "clientId", read.principal_id);
  return read;
}

}  // namespace

Identities read_identities(const json::Value& model, std::string_view vm_id, const std::string& pointer,
                           json::Problems& problems) {
  Identities out;
  const json::Value* value = model.find("identity");
  if (value == nullptr || value->is_null()) {
    return out;
  }
  json::ObjectReader identity(*value, pointer + "/identity", problems);
  const std::string type = ascii_lower(identity.string("type", "None"));
  if (type == "none") {
    return out;
  }
  out.tenant_id = given_or(identity, "tenantId", "");
  if (type.find("systemassigned") != std::string::npos) {
    const json::Value* id = model.find("id");
    json::ObjectReader ours = identity.object("openmsp");
    out.all.push_back(
        read_one(identity, ours, true, id != nullptr && id->is_string() ? *id->string() : std::string(), vm_id));
    ours.finish();
  }
  const json::Value* assigned = identity.raw("userAssignedIdentities");
  if (assigned != nullptr && !assigned->is_null()) {
    json::ObjectReader list(*assigned, pointer + "/identity/userAssignedIdentities", problems);
    for (const json::Member* member : list.rest()) {
      json::ObjectReader item(member->value, list.pointer_to(member->name), problems);
      out.all.push_back(read_one(item, item, false, member->name, member->name));
    }
  }
  return out;
}

std::variant<const Identity*, NoIdentity> choose(const Identities& identities, const IdentityChoice& choice) {
  if (choice.by == IdentityBy::kNothing) {
    for (const Identity& identity : identities.all) {
      if (identity.system || identities.all.size() == 1) {
        return &identity;
      }
    }
    return identities.all.empty() ? NoIdentity::kNone : NoIdentity::kAmbiguous;
  }
  const std::string asked = ascii_lower(choice.value);
  for (const Identity& identity : identities.all) {
    const std::string& known = choice.by == IdentityBy::kClientId   ? identity.client_id
                               : choice.by == IdentityBy::kObjectId ? identity.principal_id
                                                                    : identity.resource_id;
    // A resource id names a user-assigned one.
    const bool may_be_named = choice.by != IdentityBy::kResourceId || !identity.system;
    if (may_be_named && !asked.empty() && asked == ascii_lower(known)) {
      return &identity;
    }
  }
  return NoIdentity::kNone;
}

}  // namespace msp::content
