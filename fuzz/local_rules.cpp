// SPDX-License-Identifier: Apache-2.0
// Local rule files, and the id that switches them on. A file that is valid merges into an item that can be written and
// read again and that keeps the host's mode; one that is not closes the service (protocol.md I.5).
#include "rules/local_rules.h"
#include <algorithm>

#include "fuzz/check.h"
#include "policy/ruleset.h"

namespace {

using namespace msp;

RuleItem host_item(std::string_view id) {
  RuleItem item{.default_access = "allow", .mode = "audit", .id = std::string(id), .rules = RuleSections()};
  item.rules->privileges = {{{.name = "p", .path = "/a", .query_parameters = {{"k", "v"}}}}};
  item.rules->roles = {{{.name = "r", .privileges = {"p"}}}};
  item.rules->identities.emplace().emplace_back().name = "i";
  item.rules->role_assignments = {{{.role = "r", .identities = {"i"}}}};
  return item;
}

void check_item(const RuleItem& item) {
  json::Writer writer;
  write_rule_item(writer, item);
  const std::string text = std::move(writer).take();
  const Result<RuleItem> again = parse_rule_item(text, Source::kHost);
  FUZZ_CHECK(again && (*again == item || !item.problems.empty()));
  for (const policy::Matching matching : {policy::Matching::kOff, policy::Matching::kEnforce}) {
    const auto set = policy::RuleSet::compile(item, matching);
    FUZZ_CHECK(set->unusable().empty() == policy::RuleSet::refusals(item, matching).empty());
    const auto set_again = policy::RuleSet::compile(*again, matching);
    FUZZ_CHECK(set->unusable().empty() == set_again->unusable().empty());
  }
}

/// Of the host's elements none is lost or changed: the local ones stand behind them.
template <class T>
void check_begins_with(const std::optional<std::vector<T>>& merged, const std::optional<std::vector<T>>& host) {
  FUZZ_CHECK(merged && merged->size() >= host->size());
  FUZZ_CHECK(std::equal(host->begin(), host->end(), merged->begin()));
}

void check_merged(const RuleItem& host, const rules::IdDescriptor& id, const LocalRuleFile& file) {
  const RuleItem merged =
      rules::merge(host, id, {.state = rules::LocalRules::State::kValid, .file = file, .failure = {}});
  FUZZ_CHECK(merged.mode == host.mode && merged.id.starts_with(id.effective_id));
  FUZZ_CHECK(merged.default_access == file.default_access.value_or(host.default_access));
  FUZZ_CHECK(merged.rules);
  check_begins_with(merged.rules->privileges, host.rules->privileges);
  check_begins_with(merged.rules->roles, host.rules->roles);
  check_begins_with(merged.rules->identities, host.rules->identities);
  check_begins_with(merged.rules->role_assignments, host.rules->role_assignments);
  check_item(merged);
  RuleItem bare = host;
  bare.rules.reset();
  const RuleItem alone =
      rules::merge(bare, id, {.state = rules::LocalRules::State::kValid, .file = file, .failure = {}});
  const bool faulty = !file.problems.empty() || (file.rules && !file.rules->problems.empty());
  FUZZ_CHECK(faulty || alone.rules == file.rules);
  FUZZ_CHECK(!faulty || (!alone.problems.empty() && !merged.problems.empty()));
  check_item(alone);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = msp::fuzz::text(data, size);
  const rules::IdDescriptor id = rules::describe_id(input);
  FUZZ_CHECK(!id.logical_id.empty() || id.effective_id == input);
  const RuleItem host = host_item("raw");
  const RuleItem failed =
      rules::merge(host, id, {.state = rules::LocalRules::State::kFailed, .file = {}, .failure = "x"});
  FUZZ_CHECK(failed.default_access == "deny" && !failed.rules && failed.mode == host.mode);

  const Result<LocalRuleFile> file = rules::parse_local_rules(input);
  if (!file) {
    FUZZ_CHECK(!file.error().text().empty());
    return 0;
  }
  const Result<void> valid = rules::validate(*file);
  if (valid) {
    check_merged(host, rules::describe_id("x"), *file);
  } else {
    FUZZ_CHECK(!valid.error().text().empty());
  }
  return 0;
}
