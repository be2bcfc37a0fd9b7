// SPDX-License-Identifier: Apache-2.0
#include "rules/local_rules.h"

#include <algorithm>
#include <optional>

#include "base/crypto.h"
#include "base/json.h"
#include "base/json_members.h"
#include "rules/blank.h"

namespace msp::rules {
namespace {

constexpr std::string_view kPrefix = "LocalFileRules_";

/// The JSON object inside an encoded id; nothing if it is not one of exactly that shape.
std::optional<IdDescriptor> decode_descriptor(std::string_view text) {
  const auto bytes = base64_decode(text);
  if (!bytes) {
    return std::nullopt;
  }
  const std::string decoded(bytes->begin(), bytes->end());
  auto value = json::parse(decoded);
  if (!value || value->object() == nullptr) {
    return std::nullopt;
  }
  IdDescriptor out;
  bool has_id = false;
  bool has_switch = false;
  for (const json::Member& member : value->object()->members) {
    if (member.name == "id") {
      if (has_id || member.value.string() == nullptr) {
        return std::nullopt;
      }
      has_id = true;
      out.logical_id = *member.value.string();
    } else if (member.name == "useLocalFileRules") {
      if (has_switch || member.value.boolean() == nullptr) {
        return std::nullopt;
      }
      has_switch = true;
      out.use_local_file_rules = *member.value.boolean();
    }
  }
  return out;
}

void prefix(std::string& name) { name.insert(0, kPrefix); }

void prefix(std::vector<std::string>& names) {
  for (std::string& name : names) {
    prefix(name);
  }
}

/// Behind the host's section; an absent one is taken from the other side, two absent ones stay absent.
template <class T, class Rename>
void append(std::optional<std::vector<T>>& host, const std::optional<std::vector<T>>& local, Rename rename) {
  if (!local) {
    return;
  }
  if (!host) {
    host.emplace();
  }
  for (T item : *local) {
    rename(item);
    host->push_back(std::move(item));
  }
}

/// Named as the file's: the pointers are of two documents.
void append_problems(std::vector<std::string>& to, const std::vector<std::string>& local) {
  for (const std::string& problem : local) {
    to.push_back("local rule file: " + problem);
  }
}

void append(RuleSections& host, const RuleSections& local) {
  append(host.privileges, local.privileges, [](RulePrivilege& privilege) { prefix(privilege.name); });
  append(host.roles, local.roles, [](RuleRole& role) {
    prefix(role.name);
    prefix(role.privileges);
  });
  append(host.identities, local.identities, [](RuleIdentity& identity) { prefix(identity.name); });
  append(host.role_assignments, local.role_assignments, [](RuleAssignment& assignment) {
    prefix(assignment.role);
    prefix(assignment.identities);
  });
}

}  // namespace

IdDescriptor describe_id(std::string_view raw_id) {
  const std::string_view trimmed = trim(raw_id);
  IdDescriptor out;
  if (auto decoded = trimmed.empty() ? std::nullopt : decode_descriptor(trimmed)) {
    out = *std::move(decoded);
  } else {
    out.logical_id = trimmed;
  }
  if (out.logical_id.empty()) {
    out.effective_id = raw_id;
  } else {
    out.effective_id = out.logical_id + "-useLocalFileRules-" + (out.use_local_file_rules ? "true" : "false");
  }
  return out;
}

std::vector<std::string> problems_of(const LocalRuleFile& file) {
  std::vector<std::string> out = file.problems;
  if (file.rules) {
    out.insert(out.end(), file.rules->problems.begin(), file.rules->problems.end());
  }
  return out;
}

Result<LocalRuleFile> parse_local_rules(std::string_view text, std::vector<std::string>* problems) {
  json::Options options = rule_text_limits(Source::kConfig);
  options.skip_bom = true;
  auto value = json::parse(text, options);
  if (!value) {
    return std::move(value).error();
  }
  json::Misfits misfits(text);
  LocalRuleFile file = read_local_rule_file(*value, misfits);
  if (misfits.any()) {
    if (problems != nullptr) {
      *problems = problems_of(file);
    }
    return misfits.error(Source::kConfig, "the local rule file");
  }
  return file;
}

RuleItem merge(const RuleItem& host, const IdDescriptor& id, const LocalRules& local) {
  RuleItem out = host;
  out.id = id.effective_id;
  switch (local.state) {
    case LocalRules::State::kMissing:
      break;
    case LocalRules::State::kFailed:
      out.default_access = "deny";
      // What makes the host's item a deny-all is not lost with its rules.
      if (out.rules) {
        out.problems.insert(out.problems.end(), out.rules->problems.begin(), out.rules->problems.end());
      }
      append_problems(out.problems, local.problems);
      out.rules.reset();
      break;
    case LocalRules::State::kValid:
      if (local.file.id) {
        out.id += "_" + *local.file.id;
      }
      if (local.file.default_access) {
        out.default_access = *local.file.default_access;
      }
      append_problems(out.problems, problems_of(local.file));
      if (!out.rules && local.file.rules) {
        out.rules = local.file.rules;
        out.rules->problems.clear();
      } else if (local.file.rules) {
        append(*out.rules, *local.file.rules);
      }
      break;
  }
  return out;
}

}  // namespace msp::rules
