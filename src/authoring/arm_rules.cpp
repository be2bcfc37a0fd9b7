// SPDX-License-Identifier: Apache-2.0
#include "authoring/arm_rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <utility>

#include "policy/fold.h"

namespace msp::authoring {
namespace {

constexpr std::string_view kVersions = "/versions/";
constexpr std::string_view kOurs = "openmsp";
constexpr std::string_view kHint = "a version has properties {mode, defaultAccess, rules}, see docs/mspctl-policy.md";

struct Version {
  SourceItem item;
  std::string profile;              ///< id of the profile it lies under, lower case; empty if unknown
  std::optional<Service> endpoint;  ///< if it says so itself
};

/// The field shows the reference id in upper case (N).
std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

std::optional<Service> endpoint_of(const json::Value& resource) {
  const json::Value* const name = resource.at("/properties/applicableHostEndpoint");
  if (name == nullptr || name->string() == nullptr) {
    return std::nullopt;
  }
  const std::string lower = policy::lower(*name->string());
  if (lower == "imds") {
    return Service::kImds;
  }
  return lower == "wireserver" ? std::optional(Service::kWireServer) : std::nullopt;
}

bool is_version(const json::Value& resource, std::string_view id) {
  return policy::lower(id).contains(kVersions) || resource.at("/properties/defaultAccess") != nullptr;
}

class Reader {
 public:
  explicit Reader(const RuleText& text) : text_(text) { out_.form = RuleForm::kArm; }

  Result<void> resource(const json::Value& value, const std::string& pointer) {
    if (value.object() == nullptr || value.find("properties") == nullptr) {
      return text_.error(pointer, "this is no resource: it has no properties", std::string(kHint));
    }
    for (const std::string& at : {pointer, pointer + "/properties"}) {
      if (auto without = no_extension(at); !without) {
        return without;
      }
    }
    json::Misfits misfits = text_.no_misfits();
    json::MemberReader reader(value, pointer, misfits);
    const std::string id = reader.optional_string("id").value_or("");
    const std::optional<Service> endpoint = endpoint_of(value);
    if (endpoint && !is_version(value, id)) {
      profiles_[policy::lower(id)] = *endpoint;
      return {};
    }
    Version version = read_version(*value.find("properties"), reader.pointer_to("properties"), misfits);
    if (misfits.any()) {
      return text_.error(misfits);
    }
    const std::string access = policy::lower(version.item.item.default_access);
    const std::string mode = policy::lower(version.item.item.mode);
    if (access != "allow" && access != "deny") {
      return text_.error(version.item.pointer + "/defaultAccess", "defaultAccess is neither Allow nor Deny",
                         "write Allow or Deny");
    }
    if (mode != "enforce" && mode != "audit" && mode != "disabled") {
      return text_.error(version.item.pointer + "/mode", "mode is none of Audit, Enforce and Disabled",
                         "write one of these");
    }
    version.item.item.id = upper(id);
    version.endpoint = endpoint;
    version.profile = policy::lower(id);
    version.profile.resize(std::min(version.profile.size(), version.profile.rfind(kVersions)));
    versions_.push_back(std::move(version));
    return {};
  }

  /// It would restrict something in a way that nobody knows here.
  Result<void> no_extension(const std::string& pointer) const {
    const json::Value* const element = text_.tree().at(pointer);
    if (element != nullptr && element->object() != nullptr &&
        std::ranges::any_of(element->object()->members, [](const auto& member) { return member.name == kOurs; })) {
      return text_.error(fmt::format("{}/{}", pointer, kOurs), "an openmsp is not known here",
                         "it may stand in a privilege, an identity or a role assignment; msp-host refuses this file");
    }
    return {};
  }

  Result<RuleSource> result() && {
    if (versions_.empty()) {
      return text_.error("", "there is no version of a profile in this text", std::string(kHint));
    }
    for (Version& version : versions_) {
      const auto profile = profiles_.find(version.profile);
      const std::optional<Service> service = profile != profiles_.end() ? profile->second : version.endpoint;
      const bool known = service.has_value();
      std::optional<SourceItem>& place = service ? out_.services[static_cast<std::size_t>(*service)] : out_.single;
      if (place || (out_.single && known) || (!known && versions_.size() > 1)) {
        return text_.error(version.item.pointer, "this text holds more than one version of rules",
                           "keep the profile and the one version for each of IMDS and WireServer");
      }
      place = std::move(version.item);
    }
    out_.services[static_cast<std::size_t>(Service::kHostGaPlugin)] =
        out_.services[static_cast<std::size_t>(Service::kWireServer)];
    return std::move(out_);
  }

 private:
  Version read_version(const json::Value& properties, const std::string& pointer, json::Misfits& misfits) {
    json::MemberReader reader(properties, pointer, misfits);
    Version out;
    out.item.pointer = pointer;
    const std::optional<std::string> mode = reader.optional_string("mode");
    if (!mode) {
      out_.remarks.push_back(
          fmt::format("{}: there is no mode; the mode of the machine's endpoint holds, here enforce is assumed",
                      text_.where(pointer)));
    }
    out.item.item.mode = mode.value_or("Enforce");
    out.item.item.default_access = reader.string("defaultAccess");
    if (const json::Value* const rules = reader.optional("rules")) {
      out.item.item.rules = read_rule_sections(*rules, reader.pointer_to("rules"), misfits);
    }
    return out;
  }

  const RuleText& text_;
  RuleSource out_;
  std::map<std::string, Service> profiles_;
  std::vector<Version> versions_;
};

}  // namespace

bool looks_like_arm(const json::Value& tree) {
  const json::Value* const list = tree.find("value");
  return tree.array() != nullptr || tree.find("properties") != nullptr || (list != nullptr && list->array() != nullptr);
}

Result<RuleSource> read_arm(const RuleText& text) {
  Reader reader(text);
  const json::Value& tree = text.tree();
  if (tree.find("properties") != nullptr) {
    if (auto read = reader.resource(tree, ""); !read) {
      return std::move(read).error();
    }
    return std::move(reader).result();
  }
  if (auto without = reader.no_extension(""); !without) {
    return std::move(without).error();
  }
  const std::string prefix = tree.array() != nullptr ? "" : "/value";
  const json::Array& list = tree.array() != nullptr ? *tree.array() : *tree.find("value")->array();
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (auto read = reader.resource(list[i], fmt::format("{}/{}", prefix, i)); !read) {
      return std::move(read).error();
    }
  }
  return std::move(reader).result();
}

}  // namespace msp::authoring
