// SPDX-License-Identifier: Apache-2.0
#include "gateway/profile.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/json_fields.h"
#include "base/json_members.h"
#include "base/rules_extension.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kProfilePart = "/invmaccesscontrolprofiles/";
constexpr std::string_view kVersionPart = "/versions/";

std::string mapped(std::string_view text, char from, char to, int shift) {
  std::string out(text);
  for (char& c : out) {
    if (c >= from && c <= to) {
      c = static_cast<char>(c + shift);
    }
  }
  return out;
}

/// The id of the profile that a version's id lies under; empty if it is no version's id. Lower case.
std::string profile_of(std::string_view lower_id) {
  const auto profile = lower_id.find(kProfilePart);
  const auto version = lower_id.rfind(kVersionPart);
  if (profile == std::string_view::npos || version == std::string_view::npos ||
      version < profile + kProfilePart.size()) {
    return {};
  }
  return std::string(lower_id.substr(0, version));
}

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

std::string ascii_lower(std::string_view text) { return mapped(text, 'A', 'Z', 'a' - 'A'); }
std::string ascii_upper(std::string_view text) { return mapped(text, 'a', 'z', 'A' - 'a'); }

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

struct ProfileCatalog::Reading {
  json::Problems& problems;
  std::string_view name;
};

Result<void> ProfileCatalog::add_file(const std::string& path) {
  auto text = file::read(path, file::configuration());
  if (!text) {
    return std::move(text).error().context("access control profile");
  }
  return add_text(*text, path);
}

Result<void> ProfileCatalog::add_text(std::string_view text, std::string_view name) {
  auto tree = json::parse(text, {.skip_bom = true});
  if (!tree) {
    return std::move(tree).error().context(name);
  }
  json::Problems problems(text, name);
  Reading reading{.problems = problems, .name = name};
  const json::Value* list = tree->array() != nullptr ? &*tree : tree->find("value");
  if (list != nullptr && list->array() != nullptr) {
    refuse_extension(*tree, "", problems);
    const std::string prefix = list == &*tree ? "" : "/value";
    for (std::size_t i = 0; i < list->array()->size(); ++i) {
      add_resource((*list->array())[i], fmt::format("{}/{}", prefix, i), reading);
    }
  } else {
    add_resource(*tree, "", reading);
  }
  return problems.result();
}

void ProfileCatalog::add_resource(const json::Value& resource, const std::string& pointer, Reading& reading) {
  refuse_extension(resource, pointer, reading.problems);
  if (const json::Value* properties = resource.find("properties"); properties != nullptr) {
    refuse_extension(*properties, pointer + "/properties", reading.problems);
  }
  const json::Value* id = resource.find("id");
  if (id == nullptr || !id->is_string()) {
    reading.problems.add(pointer, resource.begin, "is no resource: it has no id");
    return;
  }
  const std::string lower = ascii_lower(*id->string());
  if (!profile_of(lower).empty()) {
    add_version(resource, pointer, reading);
    return;
  }
  const json::Value* endpoint = resource.at("/properties/applicableHostEndpoint");
  const auto service =
      endpoint != nullptr && endpoint->is_string() ? parse_endpoint_name(*endpoint->string()) : std::nullopt;
  if (lower.find(kProfilePart) == std::string::npos || !service) {
    reading.problems.add(pointer, resource.begin,
                         "is neither a profile (with applicableHostEndpoint WireServer or IMDS) nor a version of one");
    return;
  }
  endpoints_[lower] = *service;
  for (auto& [version_id, version] : versions_) {
    if (profile_of(version_id) == lower) {
      version.endpoint = service;
    }
  }
}

void ProfileCatalog::add_version(const json::Value& resource, const std::string& pointer, Reading& reading) {
  ProfileVersion version;
  version.id = *resource.find("id")->string();
  const std::string key = ascii_lower(version.id);
  json::ObjectReader root(resource, pointer, reading.problems);
  json::ObjectReader properties = root.required_object("properties");
  const std::string mode = properties.string("mode", "");
  version.mode = parse_mode(mode);
  if (!mode.empty() && !version.mode) {
    properties.fail("mode", "must be Audit, Enforce or Disabled");
  }
  const std::string access = ascii_lower(properties.string("defaultAccess"));
  version.default_allow = access == "allow";
  if (access != "allow" && access != "deny" && !access.empty()) {
    properties.fail("defaultAccess", "must be Allow or Deny");
  }
  const json::Value* rules = properties.raw("rules");
  if (rules != nullptr && !rules->is_null()) {
    json::Misfits misfits;
    version.rules = read_rule_sections(*rules, properties.pointer_to("rules"), misfits);
    for (const json::Misfits::Misfit& misfit : misfits.list()) {
      reading.problems.add(misfit.pointer, rules->begin, misfit.what);
    }
    for (const std::string& line : version.rules->problems) {
      reading.problems.add(properties.pointer_to("rules"), rules->begin, line);
    }
  }
  if (const auto endpoint = endpoints_.find(profile_of(key)); endpoint != endpoints_.end()) {
    version.endpoint = endpoint->second;
  }
  if (!versions_.emplace(key, std::move(version)).second) {
    reading.problems.add(pointer, resource.begin, "the same version occurs twice");
  }
}

const ProfileVersion* ProfileCatalog::find(std::string_view id) const {
  const auto found = versions_.find(ascii_lower(id));
  return found == versions_.end() ? nullptr : &found->second;
}

}  // namespace msp::gateway
