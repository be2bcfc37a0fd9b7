// SPDX-License-Identifier: Apache-2.0
#include "authoring/explain.h"

#include <fmt/core.h>

#include "policy/fold.h"

namespace msp::authoring {
namespace {

class Steps {
 public:
  Steps(const identity::ConnectionIdentity& caller, const Asked& asked, const RuleItem* item, policy::Matching matching,
        Explanation& out)
      : caller_(caller), asked_(asked), item_(item), matching_(matching), out_(out) {}

  void walk() {
    if (!well_formed() || !gates()) {
      return;
    }
    if (item_ == nullptr) {
      end(Outcome::kPermit, "", fmt::format("there are no rules for {}: the request passes", service()));
      return;
    }
    rules();
  }

 private:
  std::string_view service() const { return to_string(asked_.view().service); }

  void go_on(std::string what) { out_.steps.push_back({.what = std::move(what), .decides = false}); }
  void end(Outcome outcome, std::string_view code, std::string what) {
    out_.outcome = outcome;
    out_.code = code;
    out_.steps.push_back({.what = std::move(what), .decides = true});
  }

  bool well_formed() {
    if (asked_.refusal().status != 0) {
      end(Outcome::kDeny, asked_.refusal().code, std::string(asked_.refusal().what));
      return false;
    }
    const request::Fault fault = asked_.view().fault;
    if (fault == request::Fault::kNone) {
      go_on("the request is well-formed and has a canonical form");
    } else if (matching_ == policy::Matching::kEnforce) {
      end(Outcome::kDeny, request::code_of(fault),
          fmt::format("the request has no canonical form ({}), and canonical matching decides. {}",
                      request::canon_name(fault), request::describe(fault)));
      return false;
    } else {
      go_on(fmt::format("the request has no canonical form ({}); with matching {} this is tolerated",
                        request::canon_name(fault), policy::to_string(matching_)));
    }
    return true;
  }

  bool gates() {
    const bool root_only = asked_.view().service != Service::kImds;
    if (asked_.view().exempt && caller_.elevated) {
      end(Outcome::kPermit, "", "uploads of logs and telemetry need no rule where root sends them");
      return false;
    }
    if (root_only && !caller_.elevated) {
      end(Outcome::kDeny, "not_elevated",
          fmt::format("{} answers processes of uid 0 only, whatever rules say", service()));
      return false;
    }
    go_on(root_only ? fmt::format("{} answers processes of uid 0 only, and the caller is one", service())
                    : "imds answers every user unless rules say otherwise");
    return true;
  }

  void rules() {
    if (const auto refused = policy::RuleSet::refusals(*item_, matching_); !refused.empty()) {
      go_on(fmt::format("the rules cannot be used: {}", refused.front()));
      end(Outcome::kDeny, "rules_unusable", "rules that cannot be used deny everything");
      return;
    }
    const std::string mode = policy::lower(item_->mode);
    const bool known = mode == "audit" || mode == "enforce" || mode == "disabled";
    if (mode == "disabled" || (!known && matching_ == policy::Matching::kOff)) {
      end(Outcome::kPermit, "",
          known ? "the rules are disabled: the request passes"
                : "the mode of the rules is unknown, which counts as disabled with matching off: the request passes");
      return;
    }
    go_on(known ? fmt::format("the mode of the rules is {}", mode)
                : fmt::format("the mode \"{}\" of the rules is unknown and counts as enforce", item_->mode));
    const Matcher matcher = deciding_matcher(matching_);
    const Matcher other = matcher == Matcher::kLegacy ? Matcher::kCanonical : Matcher::kLegacy;
    out_.deciding = trace_rules(*item_, caller_, asked_.view(), matcher);
    out_.other = trace_rules(*item_, caller_, asked_.view(), other);
    verdict(*out_.deciding, mode == "audit");
  }

  void verdict(const Trace& trace, bool audit) {
    const bool allowed = trace.verdict == policy::Verdict::kAllow;
    if (trace.by_deny) {
      go_on(
          fmt::format("privilege \"{}\" matches, and it is denied to identity \"{}\" in role \"{}\": a deny goes first",
                      trace.rules.front().privilege, trace.rules.front().identity, trace.rules.front().role));
    } else if (trace.by_default) {
      go_on(fmt::format("no privilege matches the request, so the default decides: {}", allowed ? "allow" : "deny"));
    } else if (allowed) {
      const RuleTrace& rule = trace.rules.front();
      go_on(fmt::format("privilege \"{}\" matches, and the caller is identity \"{}\", who has role \"{}\"",
                        rule.privilege, rule.identity, rule.role));
    } else {
      go_on(
          fmt::format("privilege \"{}\" matches the request, and none of those who have it is the caller; the "
                      "default is not asked then",
                      trace.rules.front().privilege));
    }
    const std::string_view code = trace.by_deny ? "explicit_deny" : trace.by_default ? "no_rule" : "identity_mismatch";
    if (allowed) {
      end(Outcome::kPermit, "", "the request passes");
    } else if (audit) {
      end(Outcome::kAudit, code, "the mode is audit: the request passes and is recorded");
    } else {
      end(Outcome::kDeny, code, "the request is refused");
    }
  }

  const identity::ConnectionIdentity& caller_;
  const Asked& asked_;
  const RuleItem* item_;
  policy::Matching matching_;
  Explanation& out_;
};

}  // namespace

Explanation explain(const identity::ConnectionIdentity& caller, const Asked& asked, const RuleItem* item,
                    const policy::Snapshot& snapshot) {
  Explanation out;
  out.judgement = judge(caller, asked, snapshot);
  Steps(caller, asked, item, snapshot.matching, out).walk();
  return out;
}

}  // namespace msp::authoring
