// SPDX-License-Identifier: Apache-2.0
// The outcome of a decision: a Permit, which alone opens signer and forwarder (design P1), or a Denial with its reason.
// A Permit is made by the Engine only, moved through the pipeline by value and used once; any thread.
// Names are views into the rule set that decided; Permit and Denial keep it alive.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

#include "base/net.h"
#include "request/fault.h"

namespace msp::policy {

class Engine;
class RuleSet;

/// Why a request may pass.
enum class Ground : std::uint8_t {
  kNoRules,        ///< the service has no rules; the caller is elevated where that is demanded
  kDisabled,       ///< rules exist, their mode is "disabled"
  kRule,           ///< a privilege matched and one of its identities is the caller
  kDefaultAccess,  ///< no privilege matched and the default allows
  kExempt,         ///< an exempt request (protocol.md D.8) of an elevated caller
  kAudit,          ///< would be denied, but the mode is "audit"
};
/// "no_rules", "rule", …: stable, for audit records.
std::string_view to_string(Ground ground);

/// Why a request may not pass.
enum class Reason : std::uint8_t {
  kNone,
  kNoIdentity,        ///< nobody knows who asks
  kNotElevated,       ///< WireServer and HostGAPlugin are for uid 0
  kNoRule,            ///< no privilege matched and the default denies
  kIdentityMismatch,  ///< a privilege matched, none of its identities is the caller
  kRulesUnusable,     ///< the rules cannot be compiled: everything is denied
  kNotCanonical,      ///< the request has no canonical form, and canonical matching decides
  kExplicitDeny,      ///< an assignment with effect deny is, or may be, about this caller
};
/// "no_identity", "not_elevated", "no_rule", "identity_mismatch", "rules_unusable", "not_canonical", "explicit_deny":
/// stable.
std::string_view to_string(Reason reason);

/// Verdict of the rules alone, without elevation gate and audit softening (`rules_legacy` of the golden vectors).
enum class Verdict : std::uint8_t { kNotRun, kAllow, kDeny, kReject };

/// What each matcher said. `reject` is the fault behind canonical == kReject.
struct Verdicts {
  Verdict legacy = Verdict::kNotRun;
  Verdict canonical = Verdict::kNotRun;
  request::Fault reject = request::Fault::kNone;

  /// Both ran and do not agree on passing: one warning and a mark in the audit record (protocol.md E.6).
  bool diverge() const {
    return legacy != Verdict::kNotRun && canonical != Verdict::kNotRun &&
           (legacy == Verdict::kAllow) != (canonical == Verdict::kAllow);
  }
};

/// The rule behind an outcome; texts are empty where none took part.
struct RuleNames {
  std::string_view rule_set_id;
  std::string_view privilege;
  std::string_view role;
  std::string_view identity;
};

/// What dry-run assignments say of a request, had they been real; it has no effect (docs/policy.md). Indexes into the
/// rule set that decided.
struct DryRun {
  Verdict verdict = Verdict::kNotRun;  ///< kAllow, kDeny, or kNotRun: none is about it
  std::uint32_t privilege = 0;
  std::uint32_t role = 0;
  std::uint32_t identity = 0;
};
/// Views into `rules`; empty where none took part.
RuleNames names_of(const DryRun& dry_run, const RuleSet* rules);

class Permit {
 public:
  Permit(Permit&&) noexcept = default;
  Permit& operator=(Permit&&) noexcept = default;
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;
  ~Permit() = default;

  Service service() const { return service_; }
  Ground ground() const { return ground_; }
  /// Exempt requests go out with claims and date but unsigned (protocol.md D.8). Not only with Ground::kExempt: a
  /// caller that is not elevated may be let through by rules.
  bool exempt() const { return exempt_; }
  /// Would have been denied for audit_reason(); counted as a failed authentication.
  bool audit_only() const { return ground_ == Ground::kAudit; }
  Reason audit_reason() const { return audit_reason_; }
  const RuleNames& names() const { return names_; }
  const Verdicts& verdicts() const { return verdicts_; }
  const DryRun& dry_run() const { return dry_run_; }
  /// Null without rules.
  const RuleSet* rules() const { return rules_.get(); }

 private:
  friend class Engine;
  Permit() = default;

  std::shared_ptr<const RuleSet> rules_;  ///< keeps the views of names_ alive
  RuleNames names_;
  Verdicts verdicts_;
  DryRun dry_run_;
  Service service_ = Service::kImds;
  Ground ground_ = Ground::kNoRules;
  Reason audit_reason_ = Reason::kNone;
  bool exempt_ = false;
};

struct Denial {
  Reason reason = Reason::kNone;
  Service service = Service::kImds;
  request::Fault fault = request::Fault::kNone;  ///< with kNotCanonical: the answer's status and code
  /// Nearest miss, for audit and `explain`, never for the caller's answer: the privilege that matched, the identity
  /// that came closest, and the field of it that did not fit ("userName", …).
  RuleNames nearest;
  std::string_view missed_field;
  Verdicts verdicts;
  DryRun dry_run;
  std::shared_ptr<const RuleSet> rules;  ///< keeps the views above alive; null without rules

  /// The stable code of answer and audit record: to_string(reason), or the canonical fault's own code.
  std::string_view code() const;
};

using Decision = std::variant<Permit, Denial>;

}  // namespace msp::policy
