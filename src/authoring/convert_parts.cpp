// SPDX-License-Identifier: Apache-2.0
#include "authoring/convert_parts.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/json_members.h"
#include "policy/fold.h"
#include "policy/ruleset.h"
#include "rules/local_rules.h"

namespace msp::authoring {

namespace {

Result<void> usable(const std::vector<RulePart>& parts) {
  std::string all;
  for (const RulePart& part : parts) {
    for (const std::string& why : policy::RuleSet::refusals(*part.item, policy::Matching::kEnforce)) {
      all += (all.empty() ? "" : "; ") + why;
    }
  }
  return all.empty() ? Result<void>()
                     : config_error("these rules cannot be used and deny everything: " + all,
                                    "mend them first; mspctl policy lint shows each place");
}

}  // namespace

Result<std::vector<RulePart>> parts_of(const RuleText& text, const RuleSource& source, std::optional<Service> wanted) {
  if (wanted == Service::kHostGaPlugin) {
    wanted = Service::kWireServer;  // one set of rules for both (B.4)
  }
  std::vector<RulePart> out;
  const auto add = [&](const SourceItem& item, std::optional<Service> service) {
    out.push_back({.form = source.form,
                   .service = service,
                   .pointer = item.pointer,
                   .raw = text.tree().at(item.pointer),
                   .item = &item.item});
  };
  if (source.single) {
    add(*source.single, wanted);
    auto all = usable(out);
    return all ? Result(std::move(out)) : std::move(all).error();
  }
  for (const Service service : {Service::kImds, Service::kWireServer}) {
    const std::optional<SourceItem>& item = source.services[static_cast<std::size_t>(service)];
    if (item && (!wanted || *wanted == service)) {
      add(*item, service);
    }
  }
  if (out.empty()) {
    return config_error(wanted ? fmt::format("{} holds no rules for {}", text.name(), to_string(*wanted))
                               : fmt::format("{} holds no rules", text.name()),
                        "name a file that does");
  }
  auto all = usable(out);
  return all ? Result(std::move(out)) : std::move(all).error();
}

json::Object object_of(const json::Value& value) {
  return value.object() == nullptr ? json::Object() : *value.object();
}

json::Value text_value(std::string_view text) { return json::Value(std::string(text)); }

void set(json::Object& object, std::string_view name, json::Value value) {
  const auto known = std::ranges::find(object.members, name, &json::Member::name);
  if (known != object.members.end()) {
    known->value = std::move(value);
  } else {
    object.members.push_back({.name = std::string(name), .value = std::move(value)});
  }
}

bool erase(json::Object& object, std::string_view name) {
  return std::erase_if(object.members, [&](const json::Member& member) { return member.name == name; }) > 0;
}

json::Object in_order(json::Object object, std::initializer_list<std::string_view> names) {
  json::Object out;
  for (const std::string_view name : names) {
    const auto found = std::ranges::find(object.members, name, &json::Member::name);
    if (found != object.members.end()) {
      out.members.push_back(std::move(*found));
      object.members.erase(found);
    }
  }
  std::ranges::move(object.members, std::back_inserter(out.members));
  return out;
}

std::string policy_lower(std::string_view text) { return policy::lower(text); }

std::string capital(std::string text) {
  if (!text.empty() && text.front() >= 'a' && text.front() <= 'z') {
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  }
  return text;
}

bool is_version_id(std::string_view id) {
  const std::string lower = policy::lower(id);
  const std::size_t profile = lower.find("/invmaccesscontrolprofiles/");
  return lower.size() == id.size() && profile != std::string::npos && version_start(id) != std::string_view::npos &&
         version_start(id) > profile;
}

std::size_t version_start(std::string_view id) { return policy::lower(id).rfind("/versions/"); }

std::pair<std::string, bool> logical_id(std::string_view id) {
  rules::IdDescriptor described = rules::describe_id(id);
  return {std::move(described.logical_id), described.use_local_file_rules};
}

Result<void> valid_local(const json::Value& document) {
  json::Misfits misfits;
  const LocalRuleFile file = read_local_rule_file(document, misfits);
  if (misfits.any()) {
    return misfits.error(Source::kConfig, "the local rule file");
  }
  if (auto valid = rules::validate(file); !valid) {
    return config_error("the agent would refuse these rules as a local rule file: " + valid.error().message,
                        "mspctl policy lint shows each place");
  }
  return {};
}

}  // namespace msp::authoring
