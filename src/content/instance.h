// SPDX-License-Identifier: Apache-2.0
// The document behind /metadata/instance, made from the model of a virtual machine, and ways to walk it.
// Built once for each virtual machine when its model is read, and kept as text (machine.h); loop's thread.
// What the model does not say is an empty text, as in the public contract; only what is ours in it can be wrong.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/json_fields.h"

namespace msp::content {

/// {"compute": …, "network": …}; every primitive is a string.
json::Value make_instance_document(const json::Value& model, std::string_view vm_id);

/// What of the model is ours: `openmsp.compute`, and `openmsp` of data disks. A wrong or unknown member is a problem.
void check_instance_members(const json::Value& model, const std::string& pointer, json::Problems& problems);

/// True where an api-version (known to the contract) has all that later ones have.
bool has_all_of_it(std::string_view api_version);
/// The document without what came only after this api-version.
json::Value as_of(const json::Value& document, std::string_view api_version);

/// The value under a path such as "compute/tagsList/0/name"; slashes at the ends are ignored. Null if there is none.
const json::Value* walk(const json::Value& document, std::string_view path);

/// A leaf as it is; of an object or array the child names, one a line, with a slash behind those that have children.
std::string as_text(const json::Value& value);

}  // namespace msp::content
