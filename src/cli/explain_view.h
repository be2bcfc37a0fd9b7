// SPDX-License-Identifier: Apache-2.0
// An explanation for a person's eyes, and for programs (docs/mspctl-policy.md).
// Pure functions; any thread.
// Rules are written as they are found, never held all at once: there may be as many as privileges times identities.
// Never fail; text from files and arguments is escaped for people, so it cannot steer a terminal.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

#include "authoring/explain.h"

namespace msp::json {
class Writer;
}

namespace msp::cli {

struct ExplainContext {
  const authoring::Explanation& explanation;
  const identity::ConnectionIdentity& caller;
  const authoring::Asked& asked;
  const RuleItem* item = nullptr;  ///< null: no rules
  std::string_view file = {};      ///< of the rules; empty: none were named
  std::string_view form = {};
  std::string_view origin = {};  ///< of rules in force: which they are and from where
  policy::Matching matching = policy::Matching::kEnforce;
  bool all_rules = false;  ///< not only the nearest
};

void explain_view(const ExplainContext& context, std::ostream& out);
void explain_json(const ExplainContext& context, std::ostream& out);

/// The nearest rules, `most` of them and no more than the trace has kept, or every one. Returns how many are left out.
std::size_t each_rule(const ExplainContext& context, const authoring::Trace& trace, std::size_t most,
                      const std::function<void(const authoring::RuleTrace& rule)>& show);

/// "PERMIT by privilege …", "DENY 403 no_rule", …; one line, escaped.
std::string judgement_line(const authoring::Judgement& judgement);
/// outcome, status, code, ground, names: members of an open object.
void write_judgement(json::Writer& writer, const authoring::Judgement& judgement);
/// What the nearest rule lacks: "userName: wanted svc, found bob"; empty if nothing can be said. Escaped.
std::string nearest_miss(const authoring::Explanation& explanation);

}  // namespace msp::cli
