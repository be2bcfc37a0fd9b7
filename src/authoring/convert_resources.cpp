// SPDX-License-Identifier: Apache-2.0
#include "authoring/convert_resources.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

namespace msp::authoring {
namespace {

constexpr std::string_view kProfileType = "Microsoft.Compute/galleries/inVMAccessControlProfiles";
constexpr std::string_view kProperties = "/properties";
constexpr std::string_view kFirstVersion = "/versions/1.0.0";

std::string id_of(const json::Value& resource) {
  const json::Value* const id = resource.find("id");
  return id == nullptr || !id->is_string() ? std::string() : *id->string();
}

std::string profile_of(const std::string& version_id) {
  const std::size_t end = version_start(version_id);
  return end == std::string::npos ? std::string() : version_id.substr(0, end);
}

/// A resource alone, or those of a list.
struct Resources {
  explicit Resources(const json::Value& tree) {
    const json::Value* const value = tree.find("value");
    const bool alone = tree.find("properties") != nullptr;
    const json::Array* const list = alone ? nullptr : tree.array() != nullptr ? tree.array() : value->array();
    const std::string prefix = tree.array() != nullptr ? "" : "/value";
    if (list == nullptr) {
      all.emplace_back("", &tree);
      return;
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      all.emplace_back(fmt::format("{}/{}", prefix, i), &(*list)[i]);
    }
  }

  const json::Value* version(const RulePart& part) const {
    const auto found = std::ranges::find(all, std::string_view(part.pointer),
                                         [](const auto& one) { return one.first + std::string(kProperties); });
    return found == all.end() ? nullptr : found->second;
  }
  const json::Value* profile(const RulePart& part) const {
    const json::Value* const own = version(part);
    const std::string id = own == nullptr ? std::string() : policy_lower(profile_of(id_of(*own)));
    const auto found = std::ranges::find_if(
        all, [&](const auto& one) { return !id.empty() && policy_lower(id_of(*one.second)) == id; });
    return found == all.end() ? nullptr : found->second;
  }

  std::vector<std::pair<std::string, const json::Value*>> all;
};

void set_id(json::Object& resource, const std::string& id) {
  set(resource, "id", text_value(id));
  set(resource, "name", text_value(id.substr(id.rfind('/') + 1)));
}

class Rewriter {
 public:
  Rewriter(const RuleText& text, const ConvertOptions& options, std::vector<std::string>& notes)
      : text_(text), options_(options), notes_(notes), resources_(text.tree()) {}

  Result<json::Value> run(const std::vector<RulePart>& parts) {
    for (const RulePart& part : parts) {
      if (auto added = plan(part, parts.size() > 1); !added) {
        return std::move(added).error();
      }
    }
    std::string left_out;
    for (const auto& [pointer, resource] : resources_.all) {
      const auto changed = std::ranges::find(changed_, resource, &std::pair<const json::Value*, json::Value>::first);
      if (changed != changed_.end()) {
        list_.push_back(std::move(changed->second));
      } else if (!options_.service) {
        list_.push_back(*resource);
      } else {
        left_out += fmt::format("{}{}", left_out.empty() ? "" : ", ", id_of(*resource));
      }
    }
    if (!left_out.empty()) {
      notes_.push_back("resources that are not of this service are left out: " + left_out);
    }
    if (text_.tree().array() != nullptr) {
      return json::Value(std::move(list_));
    }
    json::Object out = text_.tree().find("properties") == nullptr ? object_of(text_.tree()) : json::Object();
    set(out, "value", json::Value(std::move(list_)));
    return json::Value(std::move(out));
  }

 private:
  /// What becomes of the version and of its profile.
  Result<void> plan(const RulePart& part, bool several) {
    if (!part.service) {
      return config_error("a profile is for one service, and nobody says for which",
                          "say --service imds or wireserver");
    }
    const json::Value* const version = resources_.version(part);
    const json::Value* const profile = resources_.profile(part);
    if (version == nullptr) {
      return bug("a version of rules without its resource");
    }
    const std::string old = id_of(*version);
    std::string id = profile_of(old);
    const std::string suffix = id.empty() ? std::string(kFirstVersion) : old.substr(id.size());
    if (!options_.profile_id.empty()) {
      id = options_.profile_id + (several ? fmt::format("-{}", to_string(*part.service)) : std::string());
    }
    if (id.empty()) {
      return config_error("nobody says which profile this is", "say --profile-id, the resource id of the profile");
    }
    json::Object changed = object_of(*version);
    if (!options_.mode.empty()) {
      json::Object properties = object_of(*part.raw);
      set(properties, "mode", text_value(capital(options_.mode)));
      set(changed, "properties", json::Value(std::move(properties)));
    }
    if (id + suffix != old) {
      set_id(changed, id + suffix);
    }
    changed_.emplace_back(version, json::Value(std::move(changed)));
    if (profile == nullptr) {
      notes_.push_back("the text does not hold the profile; the one written is new, for Linux");
      list_.push_back(new_profile(id, *part.service));
    } else {
      json::Object kept = object_of(*profile);
      if (id != id_of(*profile) && !options_.profile_id.empty()) {
        set_id(kept, id);
      }
      changed_.emplace_back(profile, json::Value(std::move(kept)));
    }
    return {};
  }

  const RuleText& text_;
  const ConvertOptions& options_;
  std::vector<std::string>& notes_;
  Resources resources_;
  json::Array list_;
  std::vector<std::pair<const json::Value*, json::Value>> changed_;
};

/// Adds the names of the members that are not among these.
void add_names(const json::Value* value, std::string_view whose, std::initializer_list<std::string_view> but,
               std::string& out) {
  for (std::size_t i = 0; value != nullptr && value->object() != nullptr && i < value->object()->members.size(); ++i) {
    const std::string_view name = value->object()->members[i].name;
    if (std::ranges::find(but, name) == but.end()) {
      out += fmt::format("{}{}{}", out.empty() ? "" : ", ", name, whose);
    }
  }
}

}  // namespace

json::Value new_resource(const std::string& id, std::string_view type, json::Object properties) {
  json::Object out;
  set(out, "id", text_value(id));
  set(out, "name", text_value(id.substr(id.rfind('/') + 1)));
  set(out, "type", text_value(type));
  set(out, "properties", json::Value(std::move(properties)));
  return json::Value(std::move(out));
}

json::Value new_profile(const std::string& id, Service service) {
  json::Object properties;
  set(properties, "osType", text_value("Linux"));
  set(properties, "applicableHostEndpoint", text_value(service == Service::kImds ? "IMDS" : "WireServer"));
  return new_resource(id, kProfileType, std::move(properties));
}

Result<json::Value> rewrite_resources(const RuleText& text, const std::vector<RulePart>& parts,
                                      const ConvertOptions& options, std::vector<std::string>& notes) {
  return Rewriter(text, options, notes).run(parts);
}

std::string drop_resource_members(const RuleText& text, const RulePart& part, json::Object& properties) {
  constexpr std::array kOfResource{"targetLocations",   "excludeFromLatest", "publishedDate",
                                   "provisioningState", "description",       "applicableHostEndpoint"};
  std::string out;
  for (const char* const name : kOfResource) {
    if (erase(properties, name)) {
      out += fmt::format("{}{}", out.empty() ? "" : ", ", name);
    }
  }
  const Resources resources(text.tree());
  add_names(resources.version(part), "", {"id", "name", "type", "properties"}, out);
  if (const json::Value* const profile = resources.profile(part)) {
    add_names(profile, " of the profile", {"id", "name", "type", "properties"}, out);
    add_names(profile->find("properties"), " of the profile", {"applicableHostEndpoint"}, out);
  }
  return out;
}

}  // namespace msp::authoring
