// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "authoring/asked.h"
#include "authoring/lint_checks.h"
#include "authoring/rule_forms.h"
#include "policy/fold.h"
#include "rules/blank.h"

namespace msp::authoring {
namespace {

/// Why no request gets as far as this privilege; empty: one does.
std::string refused_anyway(const std::optional<Form>& form, std::string_view reading) {
  if (!form) {
    return fmt::format("no request can meet it in {} matching", reading);
  }
  Asked asked;
  asked.ask(Service::kImds, "GET", target_of(*form));
  return asked.refusal().status == 0
             ? std::string()
             : fmt::format("a request for it is refused before rules are asked ({})", asked.refusal().code);
}

std::string remedy_of(std::string_view why, policy::LegacyFault fault) {
  if (fault != policy::LegacyFault::kNone) {
    return fmt::format("{}: {}", policy::to_string(fault), policy::remedy(fault));
  }
  return why.contains("secure_channel") || why.contains("forbidden_path")
             ? "remove it: the channel between agent and host is no client's"
             : "write the path as clients send it: a '/' first, no '//' and no '..'";
}

void check_path(const Linted& linted, const std::string& at, const RulePrivilege& privilege,
                const PrivilegeForms& forms, Findings& findings) {
  const bool legacy = linted.options.matching != policy::Matching::kEnforce;
  const std::string path_at = at + "/path";
  if (forms.fault != request::Fault::kNone) {
    findings.error(
        "no-canonical-form", at,
        fmt::format("the privilege \"{}\" has no canonical form ({}): in canonical matching it never matches",
                    privilege.name, request::canon_name(forms.fault)),
        "write a path in ASCII and without '?', and no '%' that does not begin an escape");
  } else if (const std::string why =
                 refused_anyway(legacy ? forms.legacy : forms.canonical, legacy ? "legacy" : "canonical");
             !why.empty()) {
    findings.error("unmatchable-privilege", path_at,
                   fmt::format("the privilege \"{}\" never matches: {}", privilege.name, why),
                   remedy_of(why, legacy ? policy::RuleSet::legacy_fault(privilege) : policy::LegacyFault::kNone));
  } else if (!privilege.path.starts_with('/')) {
    findings.warning("path-without-slash", path_at,
                     fmt::format("the path \"{}\" does not begin with '/': in legacy matching {}", privilege.path,
                                 privilege.path.empty() ? "it is a prefix of every path" : "it never matches"),
                     "begin it with '/'");
  }
  if (privilege.query_parameters.empty() && forms.canonical && forms.canonical->path == "/") {
    findings.warning("matches-every-request", path_at,
                     fmt::format("the privilege \"{}\" matches every request of the service", privilege.name),
                     "name the path that is needed");
  }
}

bool has_other_than_ascii(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

/// As canonical matching cuts and reads it, but for escapes, which are warned of anyway.
std::string canonical_key(std::string_view key) {
  std::string out = policy::lower(key.substr(0, key.find('=')));
  std::ranges::replace(out, '+', ' ');
  return out;
}

void check_query(const std::string& at, const RulePrivilege& privilege, Findings& findings) {
  std::map<std::string, std::string_view> seen;
  std::map<std::string, std::string_view> seen_canonical;
  for (const auto& [key, value] : privilege.query_parameters) {
    std::string place = at + "/queryParameters";
    json::append_pointer(place, key);
    const auto [known, is_new] = seen.try_emplace(policy::lower(key), key);
    if (!is_new) {
      findings.error("query-keys-alike", place,
                     fmt::format("the query parameters \"{}\" and \"{}\" differ in letter case only: one of them is "
                                 "lost, and in the field nobody knows which",
                                 known->second, key),
                     "keep one of them");
    } else if (const auto [same, fresh] = seen_canonical.try_emplace(canonical_key(key), key); !fresh) {
      findings.error(
          "query-keys-alike", place,
          fmt::format("the query parameters \"{}\" and \"{}\" have one name in canonical matching, where either "
                      "of their values is enough then",
                      same->second, key),
          "keep one of them, or write '+' and '=' as %2B and %3D");
    }
    if (rules::is_blank(key)) {
      findings.error("blank-query-key", place, "a query parameter has no name", "name it, or remove it");
    }
    if (key.contains('%') || value.contains('%')) {
      findings.warning("escape-in-rule", place,
                       "there is a '%' in the rule: legacy matching takes it as text, canonical matching decodes it",
                       "write the decoded text; requests are decoded before they are compared");
    }
    if (value.contains('+') || key.contains('+')) {
      findings.warning("plus-in-rule", place,
                       "there is a '+' in the rule: legacy matching takes it as '+', canonical matching as a blank",
                       "write %2B for a plus where canonical matching decides, a blank for a blank");
    }
    if (key.contains('=')) {
      findings.warning("equals-in-key", place,
                       "there is a '=' in the name of a query parameter: canonical matching cuts the name there",
                       "write %3D where canonical matching decides");
    }
    if (value.contains('&') || key.contains('&')) {
      findings.warning("ampersand-in-rule", place,
                       "there is a '&' in the rule: canonical matching cuts it there into two parameters",
                       "write %26 where canonical matching decides");
    }
    if (has_other_than_ascii(key) || has_other_than_ascii(value)) {
      findings.warning(
          "query-not-ascii", place,
          "there is a letter outside ASCII in the rule: canonical matching takes such letters of a request "
          "in small case only, so a capital one is neither allowed nor denied",
          "where it is denied, deny the path without it, and allow what may pass in its place");
    }
  }
}

}  // namespace

void check_privileges(const Linted& linted, Findings& findings) {
  if (!linted.item.rules || !linted.item.rules->privileges) {
    return;
  }
  const std::vector<RulePrivilege>& privileges = *linted.item.rules->privileges;
  for (std::size_t i = 0; i < privileges.size(); ++i) {
    const std::string at = linted.at("privileges", i);
    const PrivilegeForms forms = forms_of(privileges[i]);
    check_path(linted, at, privileges[i], forms, findings);
    if (privileges[i].path.contains('%')) {
      findings.warning("escape-in-rule", at + "/path",
                       "there is a '%' in the path: legacy matching takes it as text, canonical matching decodes it",
                       "write the decoded text; requests are decoded before they are compared");
    }
    check_query(at, privileges[i], findings);
  }
}

}  // namespace msp::authoring
