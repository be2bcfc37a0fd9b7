// SPDX-License-Identifier: Apache-2.0
// The extensions that a model's nested resources describe, in the two forms that guest agents read: the XML of
// ExtensionsConfig and the JSON of vmSettings.
// Values and pure functions; any thread.
// An extension that no manifest is named for cannot be installed and is left out; one that is malformed is a problem.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/json_fields.h"

namespace msp::content {

struct Extension {
  std::string name;               ///< "<publisher>.<type>"
  std::string version;            ///< typeHandlerVersion
  std::string location;           ///< URL of its manifest: openmsp.manifest
  std::string failover_location;  ///< openmsp.failoverManifest
  std::string settings;           ///< JSON object, compact; empty: none
  std::int64_t sequence = 0;      ///< openmsp.settingsSequence: raised, the extension is run again
  bool auto_upgrade = false;
};
using Extensions = std::vector<Extension>;

/// Reads `resources` of a virtual machine's document that stands at `pointer`.
Extensions read_extensions(const json::Value& model, const std::string& pointer, json::Problems& problems);

/// <Plugins> and <PluginSettings>.
std::string extensions_xml(const Extensions& extensions);
/// The whole of vmSettings.
std::string vm_settings_text(const Extensions& extensions, std::string_view status_blob);

}  // namespace msp::content
