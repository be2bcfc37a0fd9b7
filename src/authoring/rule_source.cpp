// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_source.h"

#include <fmt/core.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "authoring/arm_rules.h"
#include "authoring/surroundings.h"
#include "protocol/status.h"
#include "rules/local_rules.h"

namespace msp::authoring {
namespace {

constexpr std::array<Service, kServiceCount> kServices{Service::kImds, Service::kWireServer, Service::kHostGaPlugin};

std::optional<SourceItem>& slot(RuleSource& source, Service service) {
  return source.services[static_cast<std::size_t>(service)];
}

bool has_any(const json::Value& tree, std::initializer_list<std::string_view> names) {
  return std::ranges::any_of(names, [&](std::string_view name) { return tree.find(name) != nullptr; });
}

/// hostga follows wireserver (B.4), whatever stands there.
void follow_wireserver(RuleSource& source, const RuleText& text) {
  const std::optional<SourceItem>& wireserver = slot(source, Service::kWireServer);
  const std::optional<SourceItem>& own = slot(source, Service::kHostGaPlugin);
  if (own && (!wireserver || own->item != wireserver->item)) {
    source.remarks.push_back(fmt::format("{}: the rules of hostga are never used: those of wireserver hold for both",
                                         text.where(own->pointer)));
  }
  slot(source, Service::kHostGaPlugin) = slot(source, Service::kWireServer);
}

Result<RuleSource> read_services(const RuleText& text, RuleForm form) {
  const std::string_view around = form == RuleForm::kDump ? "inputRules" : "authorizationRules";
  const json::Value* const nested = text.tree().find(around);
  const std::string pointer = nested == nullptr ? "" : fmt::format("/{}", around);
  RuleSource out{.form = form, .single = {}, .services = {}, .local = {}, .remarks = {}};
  if (nested != nullptr && nested->is_null()) {
    out.remarks.push_back(text.where(pointer) + ": there are no rules, for no service");
    return out;
  }
  json::Misfits misfits = text.no_misfits();
  json::MemberReader reader(nested == nullptr ? text.tree() : *nested, pointer, misfits);
  for (const Service service : kServices) {
    if (const json::Value* const value = reader.optional(to_string(service))) {
      const std::string at = reader.pointer_to(to_string(service));
      slot(out, service) = SourceItem{.item = read_rule_item(*value, at, misfits), .pointer = at};
    }
  }
  if (misfits.any()) {
    return text.error(misfits);
  }
  if (form != RuleForm::kDump) {  // there each service has the rules that decide about it
    follow_wireserver(out, text);
  }
  return out;
}

Result<RuleSource> read_status_document(const RuleText& text) {
  json::Misfits misfits = text.no_misfits();
  // By the reader of the agent itself.
  const protocol::StatusDocument document = protocol::read_status(text.tree(), misfits);
  if (misfits.any()) {
    return text.error(misfits, "the agent would refuse this answer and keep the rules it has");
  }
  auto out = read_services(text, RuleForm::kStatus);
  if (out) {
    std::ranges::move(protocol::remarks(document), std::back_inserter(out->remarks));
  }
  return out;
}

Result<RuleSource> read_item(const RuleText& text) {
  RuleSource out{.form = RuleForm::kItem, .single = {}, .services = {}, .local = {}, .remarks = {}};
  json::Misfits misfits = text.no_misfits();
  out.single = SourceItem{.item = read_rule_item(text.tree(), "", misfits), .pointer = ""};
  if (misfits.any()) {
    return text.error(misfits);
  }
  if (rules::describe_id(out.single->item.id).use_local_file_rules) {
    out.remarks.push_back(text.where("/id") +
                          ": this id switches local rule files on; what such a file adds is not part of this text");
  }
  return out;
}

RuleItem standing_alone(const LocalRuleFile& file) {
  return {.default_access = file.default_access.value_or("deny"),
          .mode = "enforce",
          .id = file.id.value_or(""),
          .rules = file.rules,
          .problems = file.problems};
}

Result<RuleSource> read_local_file(const RuleText& text, const RuleItem* host) {
  const json::Object* const object = text.tree().object();
  const bool empty = object != nullptr && object->members.empty();
  if (host == nullptr && !empty && !has_any(text.tree(), {"id", "defaultAccess", "rules"})) {
    return text.error("", "these are no rules in any form that is known",
                      "the forms of rules and their members are in docs/mspctl-policy.md");
  }
  RuleSource out{.form = RuleForm::kLocalFile, .single = {}, .services = {}, .local = {}, .remarks = {}};
  if (empty) {
    out.remarks.push_back(text.where("") +
                          ": this is read as a local rule file, which adds nothing to the host's rules");
  }
  json::Misfits misfits = text.no_misfits();
  out.local = read_local_rule_file(text.tree(), misfits);
  if (misfits.any()) {
    return text.error(misfits);
  }
  rules::check_local_rules(*out.local, misfits);
  if (misfits.any()) {
    return text.error(misfits, "as long as this is so, the agent closes the service");
  }
  if (text.tree().find("mode") != nullptr) {
    out.remarks.push_back(text.where("/mode") + ": a local rule file has no mode, this one has no effect");
  }
  if (host == nullptr) {
    out.single = SourceItem{.item = standing_alone(*out.local), .pointer = ""};
    return out;
  }
  const rules::IdDescriptor id = rules::describe_id(host->id);
  if (!id.use_local_file_rules) {
    out.remarks.push_back("the host's item does not switch local rule files on: the agent would not read this file");
  }
  const rules::LocalRules local{.state = rules::LocalRules::State::kValid, .file = *out.local, .failure = {}};
  out.single = SourceItem{.item = rules::merge(*host, id, local), .pointer = ""};
  return out;
}

Result<RuleSource> read_form(const RuleText& text, RuleForm form, const RuleItem* host) {
  switch (form) {
    case RuleForm::kArm:
      return read_arm(text);
    case RuleForm::kStatus:
      return read_status_document(text);
    case RuleForm::kServices:
    case RuleForm::kDump:
      return read_services(text, form);
    case RuleForm::kItem:
      return read_item(text);
    case RuleForm::kLocalFile:
      return read_local_file(text, host);
  }
  return bug("a form of rules without a reader");
}

}  // namespace

RuleForm form_of(const json::Value& tree) {
  if (looks_like_arm(tree)) {
    return RuleForm::kArm;
  }
  if (has_any(tree, {"authorizationScheme", "keyDeliveryMethod", "secureChannelEnabled", "secureChannelState"})) {
    return RuleForm::kStatus;
  }
  if (tree.find("inputRules") != nullptr) {
    return RuleForm::kDump;
  }
  if (has_any(tree, {"authorizationRules", "imds", "wireserver", "hostga"})) {
    return RuleForm::kServices;
  }
  return tree.find("mode") != nullptr ? RuleForm::kItem : RuleForm::kLocalFile;
}

std::string_view to_string(RuleForm form) {
  switch (form) {
    case RuleForm::kItem:
      return "item";
    case RuleForm::kServices:
      return "services";
    case RuleForm::kStatus:
      return "status document";
    case RuleForm::kLocalFile:
      return "local rule file";
    case RuleForm::kDump:
      return "rules in force";
    case RuleForm::kArm:
      return "inVMAccessControlProfiles";
  }
  return "item";
}

const RuleItem* RuleSource::item(Service service) const {
  const std::optional<SourceItem>& found = single ? single : services[static_cast<std::size_t>(service)];
  return found ? &found->item : nullptr;
}

bool RuleSource::has_own_hostga() const {
  const auto rules_of = [this](Service service) {
    const RuleItem* const found = item(service);
    RuleItem out = found == nullptr ? RuleItem() : *found;
    out.id.clear();  // that of wireserver tells of local rule files, whether there are any or not
    return out;
  };
  return form == RuleForm::kDump && rules_of(Service::kHostGaPlugin) != rules_of(Service::kWireServer);
}

void RuleSource::assign(Service service) {
  if (!single) {
    return;
  }
  if (service == Service::kImds) {
    slot(*this, Service::kImds) = std::exchange(single, std::nullopt);
  } else {
    slot(*this, Service::kWireServer) = slot(*this, Service::kHostGaPlugin) = std::exchange(single, std::nullopt);
  }
}

policy::Snapshot RuleSource::compile(policy::Matching matching) const {
  policy::Snapshot out;
  out.matching = matching;
  if (single) {
    out.rules.fill(policy::RuleSet::compile(single->item, matching));
    return out;
  }
  for (const Service service : kServices) {
    if (const RuleItem* const found = item(service)) {
      out.rules[static_cast<std::size_t>(service)] = policy::RuleSet::compile(*found, matching);
    }
  }
  return out;
}

Result<RuleSource> read_rules(const RuleText& text, const RuleItem* host) {
  if (text.tree().array() == nullptr && text.tree().object() == nullptr) {
    return text.error("", fmt::format("rules are an object, not {}", json::describe(text.tree().kind())),
                      "the forms of rules and their members are in docs/mspctl-policy.md");
  }
  const RuleForm form = host != nullptr ? RuleForm::kLocalFile : form_of(text.tree());
  if (text.not_utf8() != nullptr && !is_of_host(form)) {
    return *text.not_utf8();
  }
  if (const std::vector<OuterFault> faults = outer_faults(text, form); !faults.empty()) {
    json::Misfits misfits = text.no_misfits();
    for (const OuterFault& fault : faults) {
      misfits.add(fault.pointer, fault.what);
    }
    return text.error(misfits, std::string(faults.front().remedy));
  }
  auto out = read_form(text, form, host);
  if (out && text.not_utf8() != nullptr) {
    out->remarks.push_back(replaced_remark(text));
  }
  return out;
}

std::string replaced_remark(const RuleText& text) {
  const std::vector<std::string> places = text.replaced();
  return fmt::format("{}: what is no UTF-8 is read as U+FFFD, as the agent does with what a host sends",
                     text.where(places.empty() ? "" : places.front()));
}

Result<RuleSource> read_rules(std::string text, std::string name, std::string base) {
  auto parsed = RuleText::parse(std::move(text), std::move(name), std::move(base));
  if (!parsed) {
    return std::move(parsed).error();
  }
  return read_rules(*parsed);
}

}  // namespace msp::authoring
