// SPDX-License-Identifier: Apache-2.0
// Local rule files (protocol.md I): what switches them on, their form, their checks, and the merge with the host's
// item. Pure functions; any thread. Text comes from a file that root may write, the item from the host. A file that
// breaks a rule is refused as a whole; the merge then closes the service (I.5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rules_document.h"

namespace msp::rules {

/// What the `id` of a host's item says (I.1).
struct IdDescriptor {
  std::string logical_id;
  bool use_local_file_rules = false;
  std::string effective_id;  ///< what logs and dumps show
};
IdDescriptor describe_id(std::string_view raw_id);

/// UTF-8 with or without byte order mark (I.2). Form only. Where that is wrong, `problems` (if given) are those of our
/// own fields all the same: they deny everything, whatever else is wrong.
Result<LocalRuleFile> parse_local_rules(std::string_view text, std::vector<std::string>* problems = nullptr);
/// What is wrong in its objects `openmsp`, in the file and in its rules.
std::vector<std::string> problems_of(const LocalRuleFile& file);
/// I.4, each rule that is broken with the place in the file. Names of elements are quoted, shortened.
void check_local_rules(const LocalRuleFile& file, json::Misfits& misfits);
/// The same, all in one error.
Result<void> validate(const LocalRuleFile& file);

/// What stands in the place of a local file at this moment.
struct LocalRules {
  enum class State : unsigned char { kMissing, kValid, kFailed };

  State state = State::kMissing;
  LocalRuleFile file = {};   ///< kValid: parsed and validated
  std::string failure = {};  ///< kFailed: why, and what to do
  /// kFailed: what is wrong in its objects `openmsp` as well. The set then denies everything, whatever its mode.
  std::vector<std::string> problems = {};
};

/// The item that holds (I.3, I.5), for an item whose descriptor has the switch on. With kFailed: default deny and no
/// rules, the mode unchanged, unless something of our own is wrong in it.
RuleItem merge(const RuleItem& host, const IdDescriptor& id, const LocalRules& local);

}  // namespace msp::rules
