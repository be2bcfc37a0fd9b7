// SPDX-License-Identifier: Apache-2.0
// The model of one virtual machine: an ARM-shaped document (protocol.md N) and what the host needs from it.
// Read when it is loaded or applied, on the loop's thread; immutable afterwards.
// Unknown members are accepted (real exports have many); a known security setting that is wrong refuses the model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/json_fields.h"
#include "base/result.h"
#include "gateway/config.h"
#include "gateway/profile.h"

namespace msp::gateway {

/// properties.securityProfile.proxyAgentSettings.wireServer or .imds
struct EndpointSettings {
  std::optional<Mode> mode;
  std::string profile_reference;  ///< as written; empty: none
};

/// properties.securityProfile.proxyAgentSettings
struct ProxyAgentSettings {
  bool enabled = false;
  bool says_enabled = false;  ///< false: `enabled` is not there
  std::optional<Mode> mode;   ///< deprecated: for endpoints that do not say their own
  std::uint32_t key_incarnation_id = 0;
  EndpointSettings wire_server;
  EndpointSettings imds;
};

struct VmModel {
  std::string name;
  std::string vm_id;  ///< properties.vmId, lower case: the identity that keys belong to
  ProxyAgentSettings proxy_agent;
  std::vector<Ipv4Address> private_addresses;  ///< of its network interfaces, in order
  std::string id;                              ///< resource id as written; empty: it has none
  std::string scale_set;                       ///< id, lower case, of the set that its settings come from; empty: none
  json::Value document;                        ///< the whole text as read
};

/// From a resource that stands at `pointer`; with any problem the model means nothing. `document` stays empty.
VmModel read_model(const json::Value& resource, const std::string& pointer, json::Problems& problems);
/// Of a text; empty where it is missing or null, as ARM writes what is absent.
std::string text_or_empty(json::ObjectReader& reader, std::string_view name);
/// `owner` has the securityProfile: properties of a machine, or virtualMachineProfile of a scale set.
/// ARM knows no case in names, we do: what is passed over would leave open what somebody meant to close. To be called
/// when these have been read; then all members of `reader` count as known.
void refuse_other_spellings(json::ObjectReader& reader, std::initializer_list<std::string_view> names);
ProxyAgentSettings read_proxy_agent_settings(json::ObjectReader& owner);
/// True, and a problem, for a resource without `properties` whose `member` of them stands at the top.
bool refuse_flattened(json::ObjectReader& root, std::string_view member);
/// `name` is for messages.
Result<VmModel> parse_model(std::string_view text, std::string_view name);
Result<VmModel> load_model(const std::string& path);

/// True for the 36-character form of hexadecimal digits and dashes.
bool is_guid(std::string_view text);

}  // namespace msp::gateway
