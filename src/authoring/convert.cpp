// SPDX-License-Identifier: Apache-2.0
#include "authoring/convert.h"

#include <fmt/core.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "authoring/convert_parts.h"
#include "authoring/convert_resources.h"

namespace msp::authoring {
namespace {

constexpr std::string_view kVersionSuffix = "/versions/1.0.0";

class Converter {
 public:
  Converter(const RuleText& text, const RuleSource& source, const ConvertOptions& options)
      : text_(text), source_(source), options_(options) {}

  Result<Conversion> run() {
    auto parts = parts_of(text_, source_, options_.service);
    if (!parts) {
      return std::move(parts).error();
    }
    auto document = write(*parts);
    if (!document) {
      return std::move(document).error();
    }
    if (!out_.lost.empty() && !options_.lossy) {
      std::string all;
      for (const std::string& lost : out_.lost) {
        all += (all.empty() ? "" : "; ") + lost;
      }
      return config_error("what this form cannot hold would be lost: " + all, "say --lossy if this is meant");
    }
    out_.document = *std::move(document);
    return std::move(out_);
  }

 private:
  Result<json::Value> write(const std::vector<RulePart>& parts) {
    switch (options_.to) {
      case ConvertTo::kItem:
      case ConvertTo::kLocal:
        if (parts.size() != 1) {
          return config_error("the text holds rules for several services, and this form those of one",
                              "say --service imds or wireserver");
        }
        return options_.to == ConvertTo::kItem ? item(parts.front()) : local(parts.front());
      case ConvertTo::kServices:
        return services(parts);
      case ConvertTo::kStatus:
        return status(parts);
      case ConvertTo::kProfile:
        return profiles(parts);
    }
    return bug("a form of rules without a writer");
  }

  /// An item of E.1. What stood around the rules stays, unless it belongs to the other form.
  Result<json::Value> item(const RulePart& part) {
    if (part.form == RuleForm::kLocalFile && options_.mode.empty()) {
      return config_error("a local rule file has no mode, and an item needs one",
                          "say --mode enforce, audit or disabled");
    }
    json::Object out = object_of(*part.raw);
    if (part.form == RuleForm::kArm) {
      drop_of_resource(part, out);
      set(out, "defaultAccess", text_value(lower_access(part)));
      set(out, "mode", text_value(policy_lower(part.item->mode)));
      set(out, "id", text_value(part.item->id));
    } else if (part.form == RuleForm::kLocalFile) {
      set(out, "defaultAccess", text_value(part.item->default_access));
      set(out, "id", text_value(part.item->id));
    }
    if (!options_.mode.empty()) {
      set(out, "mode", text_value(options_.mode));
    }
    return json::Value(in_order(std::move(out), {"defaultAccess", "mode", "id", "rules"}));
  }

  Result<json::Value> local(const RulePart& part) {
    json::Object out = object_of(*part.raw);
    if (part.form == RuleForm::kArm) {
      drop_of_resource(part, out);
    }
    if (part.form != RuleForm::kLocalFile) {
      out_.lost.push_back(
          fmt::format("the mode \"{}\" (a local rule file has none, that of the host's item holds)", part.item->mode));
      erase(out, "mode");
      const std::string id = plain_id(part);
      erase(out, "id");
      if (!id.empty()) {
        set(out, "id", text_value(id));
      }
      set(out, "defaultAccess", text_value(lower_access(part)));
    }
    json::Value document(in_order(std::move(out), {"id", "defaultAccess", "rules"}));
    if (auto valid = valid_local(document); !valid) {
      return std::move(valid).error();
    }
    return document;
  }

  Result<json::Value> services(const std::vector<RulePart>& parts) {
    json::Object out;
    if (source_.form == RuleForm::kDump) {
      rules_of_hostga();
    } else if ((source_.form == RuleForm::kServices || source_.form == RuleForm::kStatus) && !options_.service) {
      const json::Value* const nested = text_.tree().find("authorizationRules");
      out = object_of(nested == nullptr ? text_.tree() : *nested);
    }
    for (const RulePart& part : parts) {
      if (!part.service) {
        return config_error("nobody says for which service these rules are", "say --service imds or wireserver");
      }
      auto value = item(part);
      if (!value) {
        return std::move(value).error();
      }
      set(out, to_string(*part.service), *std::move(value));
    }
    return json::Value(std::move(out));
  }

  /// In every other form they are those of wireserver.
  void rules_of_hostga() {
    if (options_.service != Service::kImds && source_.has_own_hostga()) {
      out_.lost.emplace_back(
          "the rules of hostga, which are not those of wireserver: a local rule file adds to these alone");
    }
  }

  Result<json::Value> status(const std::vector<RulePart>& parts) {
    auto rules = services(parts);
    if (!rules) {
      return rules;
    }
    json::Object out;
    if (source_.form == RuleForm::kStatus) {
      out = object_of(text_.tree());
    } else {
      out_.notes.emplace_back("what a status document says beside the rules is that of a host without a latched key");
      set(out, "authorizationScheme", text_value("Azure-HMAC-SHA256"));
      set(out, "keyDeliveryMethod", text_value("http"));
      set(out, "keyGuid", json::Value());
      set(out, "requiredClaimsHeaderPairs", json::Value(json::Array{text_value("isRoot")}));
      set(out, "secureChannelEnabled", json::Value(true));
      set(out, "version", text_value("2.0"));
    }
    set(out, "authorizationRules", *std::move(rules));
    return json::Value(std::move(out));
  }

  /// A list of profiles and versions, as an export of resources has it.
  Result<json::Value> profiles(const std::vector<RulePart>& parts) {
    if (source_.form == RuleForm::kArm) {
      const bool as_it_is = options_.mode.empty() && options_.profile_id.empty() && !options_.service;
      return as_it_is ? Result(text_.tree()) : rewrite_resources(text_, parts, options_, out_.notes);
    }
    json::Array list;
    for (const RulePart& part : parts) {
      if (!part.service) {
        return config_error("a profile is for one service, and nobody says for which",
                            "say --service imds or wireserver");
      }
      std::string profile = profile_id(part, parts.size() > 1);
      if (profile.empty()) {
        return config_error("nobody says which profile this is",
                            "say --profile-id /subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/galleries/"
                            "N/inVMAccessControlProfiles/P");
      }
      list.push_back(new_profile(profile, *part.service));
      list.push_back(new_resource(profile + version_suffix(part),
                                  "Microsoft.Compute/galleries/inVMAccessControlProfiles/versions", version(part)));
    }
    json::Object out;
    set(out, "value", json::Value(std::move(list)));
    return json::Value(std::move(out));
  }

  json::Object version(const RulePart& part) {
    json::Object out = object_of(*part.raw);
    erase(out, "id");
    const std::string id = plain_id(part);
    if (!id.empty() && !is_version_id(id)) {
      out_.notes.push_back(fmt::format("the id \"{}\" becomes that of the resource, in upper case", id));
    }
    std::string mode = policy_lower(options_.mode.empty() ? part.item->mode : options_.mode);
    if (mode != "enforce" && mode != "audit" && mode != "disabled") {
      out_.lost.push_back(
          fmt::format("the mode \"{}\" (written as Enforce, as which it counts, but with canonicalRequestMode off it "
                      "counts as disabled; --mode says which is meant)",
                      part.item->mode));
      mode = "enforce";
    }
    set(out, "mode", text_value(capital(mode)));
    set(out, "defaultAccess", text_value(capital(lower_access(part))));
    return in_order(std::move(out), {"mode", "defaultAccess", "rules"});
  }

  std::string profile_id(const RulePart& part, bool several) const {
    if (!options_.profile_id.empty()) {
      return options_.profile_id +
             (several && part.service ? fmt::format("-{}", to_string(*part.service)) : std::string());
    }
    return is_version_id(part.item->id) ? part.item->id.substr(0, version_start(part.item->id)) : std::string();
  }

  std::string version_suffix(const RulePart& part) const {
    return options_.profile_id.empty() ? part.item->id.substr(version_start(part.item->id))
                                       : std::string(kVersionSuffix);
  }

  std::string lower_access(const RulePart& part) {
    std::string access = policy_lower(part.item->default_access);
    if (access == "allow" || access == "deny") {
      return access;
    }
    out_.notes.push_back(
        fmt::format("defaultAccess \"{}\" is written as deny, which is what it means", part.item->default_access));
    return "deny";
  }

  /// The id without what it says about local rule files.
  std::string plain_id(const RulePart& part) {
    const auto [id, switches] = logical_id(part.item->id);
    if (switches) {
      out_.lost.emplace_back("that the id switches local rule files on");
    }
    return id;
  }

  void drop_of_resource(const RulePart& part, json::Object& out) {
    if (const std::string dropped = drop_resource_members(text_, part, out); !dropped.empty()) {
      out_.notes.push_back("what belongs to the resource is left out: " + dropped);
    }
  }

  const RuleText& text_;
  const RuleSource& source_;
  const ConvertOptions& options_;
  Conversion out_;
};

}  // namespace

Result<Conversion> convert(const RuleText& text, const RuleSource& source, const ConvertOptions& options) {
  return Converter(text, source, options).run();
}

}  // namespace msp::authoring
