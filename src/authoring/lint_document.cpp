// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "authoring/lint_checks.h"
#include "authoring/lint_members.h"

namespace msp::authoring {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 3> kServiceNames{"imds", "wireserver", "hostga"};
constexpr std::array<std::string_view, 4> kBareNames{"imds", "wireserver", "hostga", "authorizationRules"};
constexpr std::array<std::string_view, 1> kWrapperNames{"authorizationRules"};
/// protocol.md B.2
constexpr std::array<std::string_view, 9> kStatusNames{
    "authorizationScheme", "keyDeliveryMethod",    "keyIncarnationId", "keyGuid",           "requiredClaimsHeaderPairs",
    "secureChannelState",  "secureChannelEnabled", "version",          "authorizationRules"};
constexpr std::array<std::string_view, 8> kResourceNames{"properties", "id",   "name", "type",
                                                         "location",   "tags", "etag", "systemData"};
constexpr std::array<std::string_view, 2> kListNames{"value", "nextLink"};
constexpr std::array<std::string_view, 4> kProfileNames{"applicableHostEndpoint", "osType", "description",
                                                        "provisioningState"};

void check_members(const json::Value& value, const std::string& pointer, Names known, Members members,
                   Findings& findings) {
  if (value.object() == nullptr) {
    return;  // the reader of the whole says so
  }
  for (const json::Member& member : value.object()->members) {
    if (std::ranges::find(known, std::string_view(member.name)) == known.end()) {
      std::string at = pointer;
      json::append_pointer(at, member.name);
      tell_unknown(at, member.name, known, members, findings);
    }
  }
}

/// A service that is left out, or misspelt, has no rules: WireServer answers root alone then, IMDS everybody.
void check_open(const json::Value* services, const std::string& pointer, Findings& findings) {
  if (services != nullptr && services->object() == nullptr && !services->is_null()) {
    return;  // a wrong type: that the agent refuses it is told
  }
  const json::Value* const imds = services == nullptr ? nullptr : services->find("imds");
  if (imds == nullptr || imds->is_null()) {
    findings.warning("world-open", imds == nullptr ? pointer : pointer + "/imds",
                     "there are no rules for IMDS: every request of every caller is allowed",
                     "write an item \"imds\" that says who may ask for what");
  }
}

void check_services(const json::Value& tree, RuleForm form, Findings& findings) {
  const json::Value* const nested = tree.find("authorizationRules");
  const bool status = form == RuleForm::kStatus;
  const Names known = status ? Names(kStatusNames) : nested != nullptr ? Names(kWrapperNames) : Names(kBareNames);
  check_members(tree, "", known, Members::kFixed, findings);
  if (nested != nullptr) {
    check_members(*nested, "/authorizationRules", kServiceNames, Members::kFixed, findings);
  }
  const bool within = status || nested != nullptr;
  check_open(within ? nested : &tree, nested == nullptr ? "" : "/authorizationRules", findings);
}

/// What stands beside the rules is the agent's to add to.
void check_dump(const json::Value& tree, Findings& findings) {
  const json::Value& services = *tree.find("inputRules");
  check_members(services, "/inputRules", kServiceNames, Members::kFixed, findings);
  check_open(&services, "/inputRules", findings);
}

void check_resource(const json::Value& resource, const std::string& pointer, Findings& findings) {
  check_members(resource, pointer, kResourceNames, Members::kOpen, findings);
  const json::Value* const properties = resource.find("properties");
  if (properties != nullptr && !is_version(resource)) {
    check_members(*properties, pointer + "/properties", kProfileNames, Members::kOpen, findings);
  }
}

void check_resources(const json::Value& tree, Findings& findings) {
  if (tree.find("properties") != nullptr) {
    check_resource(tree, "", findings);
    return;
  }
  check_members(tree, "", kListNames, Members::kOpen, findings);
  const std::string prefix = tree.array() != nullptr ? "" : "/value";
  const json::Array& list = tree.array() != nullptr ? *tree.array() : *tree.find("value")->array();
  for (std::size_t i = 0; i < list.size(); ++i) {
    check_resource(list[i], fmt::format("{}/{}", prefix, i), findings);
  }
}

}  // namespace

bool is_version(const json::Value& resource) {
  const json::Value* const properties = resource.find("properties");
  return properties != nullptr &&
         (properties->find("applicableHostEndpoint") == nullptr || properties->find("defaultAccess") != nullptr);
}

void check_document(const json::Value& tree, RuleForm form, Findings& findings) {
  switch (form) {
    case RuleForm::kServices:
    case RuleForm::kStatus:
      check_services(tree, form, findings);
      return;
    case RuleForm::kDump:
      check_dump(tree, findings);
      return;
    case RuleForm::kArm:
      check_resources(tree, findings);
      return;
    case RuleForm::kItem:
    case RuleForm::kLocalFile:
      return;  // the whole text is the item
  }
}

}  // namespace msp::authoring
