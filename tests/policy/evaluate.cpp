// SPDX-License-Identifier: Apache-2.0
#include "tests/policy/evaluate.h"

#include <type_traits>
#include <variant>

#include "policy/matcher.h"
#include "protocol/headers.h"
#include "tests/support/policy_request.h"

namespace msp::test {
namespace {

using policy::Verdict;

Result<std::string> text_at(const json::Value& value, std::string_view pointer) {
  const json::Value* const found = value.at(pointer);
  if (found == nullptr || found->string() == nullptr) {
    return config_error("no text at " + std::string(pointer));
  }
  return *found->string();
}

/// One code point stands for one byte (README of the vectors).
Result<std::string> bytes_of(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      out += text[i];
    } else if ((byte == 0xc2 || byte == 0xc3) && i + 1 < text.size()) {
      out += static_cast<char>((byte & 0x03) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f));
    } else {
      return config_error("a code point above U+00FF stands for no byte");
    }
  }
  return out;
}

Result<identity::ConnectionIdentity> caller_of(const json::Value& value) {
  identity::ConnectionIdentity caller;
  caller.known = true;
  caller.unknown = identity::Unknown::kNone;
  auto user = text_at(value, "/claims/userName");
  auto process = text_at(value, "/claims/processName");
  auto exe = text_at(value, "/claims/processFullPath");
  const json::Value* const elevated = value.at("/claims/runAsElevated");
  const json::Value* const groups = value.at("/claims/userGroups");
  if (!user || !process || !exe || elevated == nullptr || elevated->boolean() == nullptr || groups == nullptr ||
      groups->array() == nullptr) {
    return config_error("claims are incomplete");
  }
  caller.user_name = *user;
  caller.process_name = *process;
  caller.exe_rule_paths = {*exe};
  caller.elevated = *elevated->boolean();
  for (const json::Value& group : *groups->array()) {
    if (group.string() == nullptr) {
      return config_error("a group is no text");
    }
    caller.group_names.push_back(*group.string());
  }
  return caller;
}

Result<Service> service_of(std::string_view text) {
  for (const Service service : {Service::kImds, Service::kWireServer, Service::kHostGaPlugin}) {
    if (text == to_string(service)) {
      return service;
    }
  }
  return config_error("unknown service " + std::string(text));
}

std::string answer(const policy::Decision& decision) {
  const auto* permit = std::get_if<policy::Permit>(&decision);
  if (permit == nullptr) {
    return "deny";
  }
  if (permit->ground() == policy::Ground::kExempt) {
    return "allow-exempt";
  }
  return permit->audit_only() ? "allow-audit" : "allow";
}

/// `match` is one of the two matchers.
template <class Match>
std::string verdict(const policy::RuleSet* rules, Match match, const identity::ConnectionIdentity& caller,
                    const policy::RequestView& view) {
  if (rules == nullptr) {
    return "no-rules";
  }
  if (rules->mode() == policy::Mode::kDisabled) {
    return "allow";
  }
  const policy::RuleOutcome outcome = match(*rules, caller, view, nullptr);
  if (outcome.verdict == Verdict::kReject) {
    return "reject(" + std::string(request::canon_name(view.fault)) + ")";
  }
  return outcome.verdict == Verdict::kAllow ? "allow" : "deny";
}

/// What a decision reports of its two matchers is what each says alone.
bool reports_truly(const policy::Decision& decision, const policy::Snapshot& snapshot,
                   const identity::ConnectionIdentity& caller, const policy::RequestView& view) {
  const policy::Verdicts verdicts = std::visit(
      [](const auto& outcome) {
        if constexpr (std::is_same_v<std::decay_t<decltype(outcome)>, policy::Permit>) {
          return outcome.verdicts();
        } else {
          return outcome.verdicts;
        }
      },
      decision);
  const policy::RuleSet* const rules = snapshot.of(view.service).get();
  const bool legacy =
      verdicts.legacy == Verdict::kNotRun || verdicts.legacy == policy::match_legacy(*rules, caller, view).verdict;
  const bool canonical = verdicts.canonical == Verdict::kNotRun ||
                         verdicts.canonical == policy::match_canonical(*rules, caller, view).verdict;
  return legacy && canonical;
}

}  // namespace

CompiledItem compile_item(const std::optional<RuleItem>& item) {
  CompiledItem out;
  out.off.matching = policy::Matching::kOff;
  out.shadow.matching = policy::Matching::kShadow;
  out.enforce.matching = policy::Matching::kEnforce;
  if (item) {
    for (policy::Snapshot* snapshot : {&out.off, &out.shadow, &out.enforce}) {
      snapshot->rules.fill(policy::RuleSet::compile(*item, snapshot->matching));
    }
  }
  return out;
}

Result<CaseResult> evaluate_case(const CompiledItem& item, const json::Value& value) {
  auto caller = caller_of(value);
  auto service_name = text_at(value, "/service");
  auto method = text_at(value, "/request/method");
  auto url = text_at(value, "/request/url");
  if (!caller || !service_name || !method || !url) {
    return config_error("a case needs claims, service, request.method and request.url");
  }
  auto service = service_of(*service_name);
  if (!service) {
    return std::move(service).error();
  }
  auto target_text = bytes_of(*url);
  if (!target_text) {
    return std::move(target_text).error();
  }
  const auto target = http::parse_target(*target_text);
  const PolicyRequest request(*service, *method, *target_text, target && protocol::is_exempt(*method, *target));
  if (!request.ok()) {
    return CaseResult{"parse", "parse", "parse", "parse", "parse"};
  }
  const policy::RequestView& view = request.view();
  for (const policy::Snapshot* snapshot : {&item.off, &item.shadow, &item.enforce}) {
    if (!reports_truly(policy::decide(*caller, view, *snapshot), *snapshot, *caller, view)) {
      return bug("a decision does not report what its matchers say");
    }
  }
  return CaseResult{
      .expect_legacy = answer(policy::decide(*caller, view, item.off)),
      .rules_legacy = verdict(item.off.of(*service).get(), policy::match_legacy, *caller, view),
      .expect_canonical = verdict(item.enforce.of(*service).get(), policy::match_canonical, *caller, view),
      .enforce = answer(policy::decide(*caller, view, item.enforce)),
      .shadow = answer(policy::decide(*caller, view, item.shadow)),
  };
}

}  // namespace msp::test
