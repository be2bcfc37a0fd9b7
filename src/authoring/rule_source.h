// SPDX-License-Identifier: Apache-2.0
// Reads rules in every form in which they are kept, and says which form it was (protocol.md B.2, E.1, I.2, N).
// Pure; any thread. The text comes from the author of an allowlist.
// A text that the agent would not accept is an Error with file, line, column and what to do; what is odd but accepted
// is a remark.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authoring/rule_text.h"
#include "base/net.h"
#include "base/rules_document.h"
#include "policy/snapshot.h"

namespace msp::authoring {

enum class RuleForm : std::uint8_t {
  kItem,       ///< one item: {"defaultAccess", "mode", "id", "rules"}
  kServices,   ///< {"imds": item, "wireserver": item}, bare or under "authorizationRules"
  kStatus,     ///< a whole status document of the host
  kLocalFile,  ///< a local rule file; it has no mode
  kDump,       ///< rules in force as an agent writes them: {"inputRules": services, …} (protocol.md H.5)
  kArm,        ///< inVMAccessControlProfiles: a version, or a list of profiles and versions
};
/// "item", "services", "status document", "local rule file", "rules in force", "inVMAccessControlProfiles".
std::string_view to_string(RuleForm form);
/// What the agent reads with U+FFFD in the place of bytes that are no UTF-8: all that comes from a host.
constexpr bool is_of_host(RuleForm form) {
  return form == RuleForm::kItem || form == RuleForm::kServices || form == RuleForm::kStatus;
}
/// By the members it has; the text need not be right otherwise. `tree`: an object or an array.
RuleForm form_of(const json::Value& tree);

struct SourceItem {
  RuleItem item;
  std::string pointer;  ///< where it stands in the text
};

struct RuleSource {
  RuleForm form = RuleForm::kItem;
  /// The text holds one item and does not say for which service.
  std::optional<SourceItem> single;
  /// By Service; that of hostga is always wireserver's (B.4), but in rules in force, where local rule files have added
  /// to wireserver's alone. Empty beside `single`.
  std::array<std::optional<SourceItem>, kServiceCount> services;
  std::optional<LocalRuleFile> local;  ///< as written; the item is what holds of it
  std::vector<std::string> remarks;    ///< one sentence each

  /// The item that decides for a service, or null: no rules. A single one is taken to be of the service asked for.
  const RuleItem* item(Service service) const;
  /// Rules in force of hostga that are not those of wireserver once more: a local rule file adds to the latter alone.
  bool has_own_hostga() const;
  /// Says of which service a single item is; no other service has rules then.
  void assign(Service service);
  policy::Snapshot compile(policy::Matching matching) const;
};

/// `host`: the item that a local rule file is merged with (I.3); without one the file stands alone, enforced, and its
/// default access is deny unless it says otherwise.
Result<RuleSource> read_rules(const RuleText& text, const RuleItem* host = nullptr);

/// What the remark says of a text that is no UTF-8 (RuleText::not_utf8).
std::string replaced_remark(const RuleText& text);

/// Both steps at once. `base`: as for RuleText::parse.
Result<RuleSource> read_rules(std::string text, std::string name, std::string base = {});

}  // namespace msp::authoring
