// SPDX-License-Identifier: Apache-2.0
#include "gateway/profile.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/json_fields.h"
#include "base/json_members.h"
#include "base/rules_extension.h"
#include "gateway/misplaced.h"
#include "gateway/model.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kProfilePart = "/invmaccesscontrolprofiles/";
constexpr std::string_view kVersionPart = "/versions/";

std::optional<Service> parse_endpoint_name(std::string_view text) {
  const std::string lower = ascii_lower(text);
  if (lower == "imds") {
    return Service::kImds;
  }
  if (lower == "wireserver") {
    return Service::kWireServer;
  }
  return std::nullopt;
}

}  // namespace

std::string profile_of(std::string_view lower_id) {
  const auto profile = lower_id.find(kProfilePart);
  const auto version = lower_id.rfind(kVersionPart);
  if (profile == std::string_view::npos || version == std::string_view::npos ||
      version < profile + kProfilePart.size()) {
    return {};
  }
  return std::string(lower_id.substr(0, version));
}

bool is_profile_id(std::string_view id) { return ascii_lower(id).find(kProfilePart) != std::string::npos; }

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::kDisabled:
      return "disabled";
    case Mode::kAudit:
      return "audit";
    case Mode::kEnforce:
      return "enforce";
  }
  return "enforce";
}

std::optional<Mode> parse_mode(std::string_view text) {
  const std::string lower = ascii_lower(text);
  for (const Mode mode : {Mode::kDisabled, Mode::kAudit, Mode::kEnforce}) {
    if (lower == to_string(mode)) {
      return mode;
    }
  }
  return std::nullopt;
}

Result<void> ProfileCatalog::add_file(const std::string& path) {
  auto text = file::read(path, file::configuration(), kResourceFile.max_bytes);
  if (!text) {
    return std::move(text).error().context("access control profile");
  }
  return add_text(*text, path);
}

Result<void> ProfileCatalog::add_text(std::string_view text, std::string_view name) {
  auto tree = json::parse(text, kResourceFile);
  if (!tree) {
    return std::move(tree).error().context(name);
  }
  json::Problems problems(text, name);
  if (const json::Object* root = tree->object();
      root != nullptr && std::ranges::count(root->members, "value", &json::Member::name) > 1) {
    problems.add("/value", tree->begin, "occurs twice: only one of the lists would be taken");
  }
  const json::Value* list = tree->array() != nullptr ? &*tree : tree->find("value");
  if (list != nullptr && list->array() != nullptr) {
    refuse_extension(*tree, "", problems);
    const std::string prefix = list == &*tree ? "" : "/value";
    for (std::size_t i = 0; i < list->array()->size(); ++i) {
      add_resource((*list->array())[i], fmt::format("{}/{}", prefix, i), problems);
    }
  } else {
    add_resource(*tree, "", problems);
  }
  return problems.result();
}

void ProfileCatalog::add_resource(const json::Value& resource, const std::string& pointer, json::Problems& problems) {
  const json::Value* id = resource.find("id");
  if (id != nullptr && id->is_string() && versions_.contains(ascii_lower(*id->string()))) {
    problems.add(pointer, resource.begin, "the same version occurs twice");
    return;
  }
  const bool version = id != nullptr && id->is_string() && !profile_of(ascii_lower(*id->string())).empty();
  refuse_misplaced(resource, version ? ResourceKind::kProfileVersion : ResourceKind::kProfile, pointer, problems);
  put(resource, pointer, {}, problems);
}

void ProfileCatalog::put(const json::Value& resource, const std::string& pointer, std::string revision,
                         json::Problems& problems) {
  refuse_extension(resource, pointer, problems);
  if (const json::Value* properties = resource.find("properties"); properties != nullptr) {
    refuse_extension(*properties, pointer + "/properties", problems);
  }
  const json::Value* id = resource.find("id");
  if (id == nullptr || !id->is_string()) {
    problems.add(pointer, resource.begin, "is no resource: it has no id");
    return;
  }
  const std::string lower = ascii_lower(*id->string());
  if (!profile_of(lower).empty()) {
    put_version(resource, pointer, std::move(revision), problems);
    return;
  }
  const json::Value* endpoint = resource.at("/properties/applicableHostEndpoint");
  const auto service =
      endpoint != nullptr && endpoint->is_string() ? parse_endpoint_name(*endpoint->string()) : std::nullopt;
  if (lower.find(kProfilePart) == std::string::npos || !service) {
    problems.add(pointer, resource.begin,
                 "is neither a profile (with applicableHostEndpoint WireServer or IMDS) nor a version of one");
    return;
  }
  if (problems.empty()) {
    endpoints_[lower] = *service;
    set_endpoint(lower, service);
  }
}

void ProfileCatalog::set_endpoint(const std::string& profile, std::optional<Service> service) {
  for (auto& [id, version] : versions_) {
    if (version->endpoint != service && profile_of(id) == profile) {
      auto changed = std::make_unique<ProfileVersion>(*version);
      changed->endpoint = service;
      version = std::move(changed);
    }
  }
}

void ProfileCatalog::put_version(const json::Value& resource, const std::string& pointer, std::string revision,
                                 json::Problems& problems) {
  auto version = std::make_unique<ProfileVersion>();
  version->id = *resource.find("id")->string();
  version->revision = std::move(revision);
  const std::string key = ascii_lower(version->id);
  json::ObjectReader root(resource, pointer, problems);
  json::ObjectReader properties = root.required_object("properties");
  const std::string mode = text_or_empty(properties, "mode");
  version->mode = parse_mode(mode);
  if (!mode.empty() && !version->mode) {
    properties.fail("mode", "must be Audit, Enforce or Disabled");
  }
  const std::string access = ascii_lower(properties.string("defaultAccess"));
  version->default_allow = access == "allow";
  if (access != "allow" && access != "deny" && !access.empty()) {
    properties.fail("defaultAccess", "must be Allow or Deny");
  }
  const json::Value* rules = properties.raw("rules");
  if (rules != nullptr && !rules->is_null()) {
    json::Misfits misfits;
    version->rules = read_rule_sections(*rules, properties.pointer_to("rules"), misfits);
    for (const json::Misfits::Misfit& misfit : misfits.list()) {
      problems.add(misfit.pointer, rules->begin, misfit.what);
    }
    for (const std::string& line : version->rules->problems) {
      problems.add(properties.pointer_to("rules"), rules->begin, line);
    }
  }
  refuse_other_spellings(properties, {"mode", "defaultAccess", "rules"});
  if (const auto endpoint = endpoints_.find(profile_of(key)); endpoint != endpoints_.end()) {
    version->endpoint = endpoint->second;
  }
  if (problems.empty()) {
    versions_[key] = std::move(version);
  }
}

void ProfileCatalog::remove(std::string_view id) {
  const std::string lower = ascii_lower(id);
  versions_.erase(lower);
  if (endpoints_.erase(lower) != 0) {
    set_endpoint(lower, std::nullopt);
  }
}

const ProfileVersion* ProfileCatalog::find(std::string_view id) const {
  const auto found = versions_.find(ascii_lower(id));
  return found == versions_.end() ? nullptr : found->second.get();
}

}  // namespace msp::gateway
