// SPDX-License-Identifier: Apache-2.0
// Which part of /metadata/instance came with which api-version (public contract).
#include <algorithm>
#include <array>

#include "content/instance.h"

namespace msp::content {
namespace {

struct Since {
  std::string_view parent;  ///< below compute; empty: compute itself
  std::string_view name;
  std::string_view version;
};

// Versions are dates, so texts compare as they should. What is not here was there from the beginning.
constexpr std::array kSince = {
    Since{"", "additionalCapabilities", "2021-11-01"},
    Since{"", "azEnvironment", "2018-10-01"},
    Since{"", "customData", "2019-02-01"},
    Since{"", "evictionPolicy", "2020-12-01"},
    Since{"", "extendedLocation", "2021-03-01"},
    Since{"", "host", "2021-11-15"},
    Since{"", "hostGroup", "2021-11-15"},
    Since{"", "isHostCompatibilityLayerVm", "2020-06-01"},
    Since{"", "licenseType", "2020-09-01"},
    Since{"", "osProfile", "2020-07-15"},
    Since{"osProfile", "disablePasswordAuthentication", "2020-10-01"},
    Since{"", "physicalZone", "2023-11-15"},
    Since{"", "placementGroupId", "2017-08-01"},
    Since{"", "plan", "2018-04-02"},
    Since{"", "platformSubFaultDomain", "2021-10-01"},
    Since{"", "priority", "2020-12-01"},
    Since{"", "provider", "2018-10-01"},
    Since{"", "publicKeys", "2018-04-02"},
    Since{"", "resourceGroupName", "2017-08-01"},
    Since{"", "resourceId", "2019-03-11"},
    Since{"", "securityProfile", "2020-06-01"},
    Since{"securityProfile", "encryptionAtHost", "2021-11-01"},
    Since{"securityProfile", "securityType", "2021-12-13"},
    Since{"", "storageProfile", "2019-06-01"},
    Since{"storageProfile", "resourceDisk", "2021-02-01"},
    Since{"", "subscriptionId", "2017-08-01"},
    Since{"", "tags", "2017-08-01"},
    Since{"", "tagsList", "2019-06-04"},
    Since{"", "userData", "2021-01-01"},
    Since{"", "virtualMachineScaleSet", "2021-10-01"},
    Since{"", "vmScaleSetName", "2017-12-01"},
    Since{"", "zone", "2017-12-01"},
};

bool is_there(std::string_view parent, std::string_view name, std::string_view version) {
  return std::none_of(kSince.begin(), kSince.end(), [&](const Since& since) {
    return since.parent == parent && since.name == name && version < since.version;
  });
}

json::Object filtered(const json::Object& source, std::string_view parent, std::string_view version) {
  json::Object out;
  for (const json::Member& member : source.members) {
    if (!is_there(parent, member.name, version)) {
      continue;
    }
    const json::Object* child = parent.empty() ? member.value.object() : nullptr;
    out.members.push_back(
        {.name = member.name,
         .value = child == nullptr ? member.value : json::Value(filtered(*child, member.name, version)),
         .begin = 0});
  }
  return out;
}

}  // namespace

bool has_all_of_it(std::string_view api_version) {
  return std::none_of(kSince.begin(), kSince.end(), [&](const Since& since) { return api_version < since.version; });
}

json::Value as_of(const json::Value& document, std::string_view api_version) {
  json::Object out;
  for (const json::Member& member : document.object()->members) {
    const bool compute = member.name == "compute";
    out.members.push_back(
        {.name = member.name,
         .value = compute ? json::Value(filtered(*member.value.object(), {}, api_version)) : member.value,
         .begin = 0});
  }
  return json::Value(std::move(out));
}

}  // namespace msp::content
