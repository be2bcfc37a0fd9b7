// SPDX-License-Identifier: Apache-2.0
// One service's rules, compiled (protocol.md E.2): immutable and shared, for both matchers.
// Compiled off the hot path, read by the data loop; any thread.
// Compiling cannot fail: what a host's item gets wrong is ignored as the field does and noted; what is wrong with our
// own fields in it makes the set a deny_all(), the explicit refusal (L.31).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rules_document.h"
#include "policy/identity_index.h"
#include "policy/rule_index.h"
#include "request/canonical_request.h"

namespace msp::policy {

/// `canonicalRequestMode`: which matcher decides (design §4). kOff and kShadow: legacy; kEnforce: canonical.
enum class Matching : std::uint8_t { kOff, kShadow, kEnforce };
std::string_view to_string(Matching matching);

/// What a set of rules may do to a request.
enum class Mode : std::uint8_t { kDisabled, kAudit, kEnforce };
/// "disabled", "audit", "enforce".
std::string_view to_string(Mode mode);

/// Where a caller's cgroup must be (docs/policy.md); each that is present.
struct PlaceRule {
  std::optional<std::string> unit;
  std::optional<std::string> cgroup;
  std::optional<std::string> container;  ///< the id's first digits, or all
};

/// An identity matches if each field that is present does; one without fields is everybody (E.3).
struct IdentityRule {
  std::string name;
  std::optional<std::string> user;
  std::optional<std::string> group;
  std::optional<std::string> process;
  std::optional<std::string> exe;               ///< as same_components() takes it
  std::shared_ptr<const PlaceRule> place = {};  ///< null: anywhere; apart, since few identities ask for it
};

/// What an assignment does to those it names.
struct Effect {
  bool deny = false;
  bool dry_run = false;

  auto operator<=>(const Effect&) const = default;
};

/// An assigned role: the identities that all its assignments of one effect add up to.
struct RoleGrant {
  std::string name;
  std::vector<std::uint32_t> identities;  ///< ascending
  Effect effect = {};
};

struct Privilege {
  std::string name;
  std::vector<std::pair<std::string, std::string>> legacy_query;  ///< folded; all must be met
  std::vector<RequiredQuery> canonical_query;                     ///< all must be met
  std::vector<std::uint32_t> roles;                               ///< that allow; indexes into RuleSet::roles()
  std::uint8_t methods = kAnyMethod;                              ///< bits by request::Method
  bool many_callers = false;                                      ///< more identities than are looked through

  static constexpr std::uint8_t kAnyMethod = 0xff;  ///< also one that request::Method does not know
};

/// Who holds a privilege, or any of several that match the same requests and have many callers together.
struct Holders {
  std::uint32_t privilege = 0;            ///< the first of them
  std::vector<std::uint32_t> roles;       ///< of all of them, ascending
  std::vector<std::uint32_t> privileges;  ///< which one each of the roles holds; empty: there is but one
  bool many_callers = false;              ///< as Privilege::many_callers

  std::uint32_t privilege_of(std::uint32_t role) const;
  /// Of the role at this place in `roles`.
  std::uint32_t privilege_at(std::size_t place) const { return privileges.empty() ? privilege : privileges[place]; }
};

/// Assignments that do not simply allow, with an index of their own: who has none pays nothing for them.
struct SpecialGrants {
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Hit {
    std::uint32_t role = kNone;
    std::uint32_t identity = kNone;
  };
  struct Entry {
    Holders holders;
    /// By UnknownFields: a deny that hits every caller of whom these fields are not known. Only for many callers.
    std::vector<Hit> blind = {};
  };
  std::vector<Entry> entries;
  RuleIndex legacy;     ///< as RuleSet::legacy_paths(); values are indexes into `entries`
  RuleIndex canonical;  ///< as RuleSet::canonical_paths()
};

std::uint8_t method_bit(request::Method method);

/// Why no request ever matches a privilege in legacy matching (protocol.md E.3).
enum class LegacyFault : std::uint8_t {
  kNone,
  kNoSlash,   ///< a request's path begins with one, or is "*"
  kEmbedded,  ///< a '?' in the path: a request's ends there for this reading, even where it was escaped
  kEmptyKey,  ///< in the query, where pairs without key are none
  kClimbs,    ///< a '//' or a segment '..': requests with one are refused before rules are asked
};
/// "its path does not begin with '/'", …; of kNone empty.
std::string_view to_string(LegacyFault fault);
/// What an author does about it.
std::string_view remedy(LegacyFault fault);

class RuleSet {
 public:
  /// `item` comes from the host and is well-formed JSON of the right shape, nothing more. Unknown or padded modes count
  /// as enforce, except with Matching::kOff, where the field's reading (disabled) holds (protocol.md L.31).
  static std::shared_ptr<const RuleSet> compile(const RuleItem& item, Matching matching);
  static constexpr std::size_t kMaxRefusals = 100;
  /// Of an item as JSON (written_size()); what is larger is refused.
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
  /// What makes compile() refuse the item, a line each; empty: nothing. For tools: the agent has it in unusable().
  static std::vector<std::string> refusals(const RuleItem& item, Matching matching);
  /// Why no request ever matches the privilege in canonical matching; kNone: requests may (protocol.md E.2.7).
  static request::Fault canonical_fault(const RulePrivilege& privilege);
  /// The same in legacy matching.
  static LegacyFault legacy_fault(const RulePrivilege& privilege);
  /// Denies every request that rules decide about, whatever its caller; `why` is for status and log.
  static std::shared_ptr<const RuleSet> deny_all(std::string id, std::string why);

  const std::string& id() const { return id_; }
  Mode mode() const { return mode_; }
  bool default_allow() const { return default_allow_; }
  /// Why this is a deny-all set; empty for a compiled one.
  const std::string& unusable() const { return unusable_; }
  /// What compiling ignored or read in its own way, one sentence each, bounded in number.
  const std::vector<std::string>& notes() const { return notes_; }

  const std::vector<Privilege>& privileges() const { return privileges_; }
  const std::vector<RoleGrant>& roles() const { return roles_; }
  const std::vector<IdentityRule>& identities() const { return identities_; }
  /// Of identities() that have a role; null when nothing has many callers.
  const IdentityIndex* callers() const { return callers_.get(); }
  /// Roles that an identity is assigned to, of any effect, ascending; only where there is callers().
  const std::vector<std::uint32_t>& roles_of(std::uint32_t identity) const { return roles_of_[identity]; }
  bool names_executables() const { return names_executables_; }
  /// An identity asks for unit, cgroup or container.
  bool names_cgroups() const { return names_cgroups_; }
  bool names_units() const { return names_units_; }
  bool names_methods() const { return names_methods_; }
  /// Every `exePath` that an identity asks for, as written, sorted, each once: what identity must hold pins for.
  std::vector<std::string> exe_paths() const;
  /// Those fields of identities that are denied anything which a caller may not be known by (may_be).
  UnknownFields deny_fields() const { return deny_fields_; }
  /// Identities that are denied anything, for callers of whom `unknown` (part of deny_fields(), not 0) is not known,
  /// without those that ask for nothing else. Only where there is callers().
  const IdentityIndex& possible_callers(UnknownFields unknown) const { return *possible_callers_[unknown]; }

  /// Values are indexes into privileges() and, from privileges().size() on, into alike(); keys are folded paths.
  const RuleIndex& legacy_paths() const { return legacy_paths_; }
  const std::vector<Holders>& alike() const { return alike_; }
  /// As above; keys are canonical segments with "/" behind each. Privileges without canonical form are missing here.
  const RuleIndex& canonical_paths() const { return canonical_paths_; }
  /// With effect deny.
  const SpecialGrants& denies() const { return denies_; }
  /// Dry runs, of either effect.
  const SpecialGrants& dry_runs() const { return dry_runs_; }

 private:
  friend class Compiler;
  struct Passkey {
    explicit Passkey() = default;
  };

 public:
  explicit RuleSet(Passkey) {}

 private:
  std::string id_;
  Mode mode_ = Mode::kEnforce;
  bool default_allow_ = false;
  bool names_executables_ = false;
  bool names_cgroups_ = false;
  bool names_units_ = false;
  bool names_methods_ = false;
  std::string unusable_;
  std::vector<std::string> notes_;
  std::vector<Privilege> privileges_;
  std::vector<RoleGrant> roles_;
  std::vector<IdentityRule> identities_;
  std::unique_ptr<const IdentityIndex> callers_;
  std::vector<std::vector<std::uint32_t>> roles_of_;
  UnknownFields deny_fields_ = 0;
  std::array<std::unique_ptr<const IdentityIndex>, 8> possible_callers_;
  std::vector<Holders> alike_;
  RuleIndex legacy_paths_;
  RuleIndex canonical_paths_;
  SpecialGrants denies_;
  SpecialGrants dry_runs_;
};

}  // namespace msp::policy
