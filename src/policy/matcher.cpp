// SPDX-License-Identifier: Apache-2.0
#include "policy/matcher.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/fold.h"
#include "policy/identity_match.h"
#include "policy/legacy_query.h"

namespace msp::policy {
namespace {

constexpr std::size_t kUsualPath = 256;

/// Folded texts of one request; from the stack as long as they fit.
class Scratch {
 public:
  std::pmr::memory_resource* memory() { return &memory_; }

 private:
  std::array<std::byte, 8192> buffer_;
  std::pmr::monotonic_buffer_resource memory_{buffer_.data(), buffer_.size()};
};

/// Collects matching privileges until one of their identities is the caller; keeps the nearest miss.
class Search {
 public:
  Search(const RuleSet& rules, const identity::ConnectionIdentity& caller, const RuleOutcome* other)
      : rules_(rules), caller_(caller) {
    if (other != nullptr && other->verdict == Verdict::kAllow && !other->by_default) {
      known_role_ = other->role;
      known_identity_ = other->identity;
    }
  }

  /// A privilege whose path and query match. True: allowed, nothing more to look at.
  bool privilege_matches(std::uint32_t index) {
    matched_ = true;
    if (nearest_ < 0) {
      outcome_.privilege = index;  // of several without identities, the one with the longest path
    }
    const std::vector<std::uint32_t>& roles = rules_.privileges()[index].roles;
    if (std::ranges::find(roles, known_role_) != roles.end()) {
      outcome_ = {.verdict = Verdict::kAllow, .privilege = index, .role = known_role_, .identity = known_identity_};
      return true;
    }
    for (const std::uint32_t role : roles) {
      for (const std::uint32_t identity : rules_.roles()[role].identities) {
        const IdentityMatch match = match_identity(rules_.identities()[identity], caller_);
        if (match.matched || match.fields_met >= nearest_) {
          nearest_ = match.fields_met;
          outcome_.privilege = index;
          outcome_.role = role;
          outcome_.identity = identity;
          outcome_.missed_field = match.missed_field;
        }
        if (match.matched) {
          outcome_.verdict = Verdict::kAllow;
          return true;
        }
      }
    }
    return false;
  }

  RuleOutcome outcome() && {
    if (!matched_) {
      outcome_.by_default = true;
      outcome_.verdict = rules_.default_allow() ? Verdict::kAllow : Verdict::kDeny;
    }
    return outcome_;
  }

 private:
  const RuleSet& rules_;
  const identity::ConnectionIdentity& caller_;
  RuleOutcome outcome_;
  std::uint32_t known_role_ = RuleOutcome::kNone;  ///< one of its identities is known to be the caller
  std::uint32_t known_identity_ = RuleOutcome::kNone;
  int nearest_ = -1;
  bool matched_ = false;
};

bool meets(std::span<const request::QueryPair> pairs, const std::vector<RequiredQuery>& required) {
  return std::ranges::all_of(required, [&](const RequiredQuery& need) {
    const auto of_key = std::ranges::equal_range(pairs, std::string_view(need.key), {}, &request::QueryPair::key);
    return std::ranges::any_of(of_key, [&](const request::QueryPair& pair) {
      return std::ranges::find(need.values, pair.value) != need.values.end();
    });
  });
}

class LegacyReading {
 public:
  explicit LegacyReading(const RequestView& request)
      : folded_(scratch_.memory()),
        path_(fold(request.path, folded_)),
        query_(request.query, embedded(), scratch_.memory()) {}

  static const PrefixIndex& paths(const RuleSet& rules) { return rules.legacy_paths(); }
  static const PrefixIndex& paths(const SpecialGrants& grants) { return grants.legacy; }
  std::string_view path() const { return path_; }
  bool meets(const Privilege& privilege) { return query_.meets(privilege.legacy_query); }

 private:
  static std::string_view fold(std::string_view path, std::pmr::string& folded) {
    append_decoded_lower(path, folded);
    const std::string_view text = folded;
    return text.substr(0, text.find('?'));
  }
  std::string_view embedded() const {
    return std::string_view(folded_).substr(std::min(folded_.size(), path_.size() + 1));
  }

  Scratch scratch_;
  std::pmr::string folded_;
  std::string_view path_;
  LegacyQuery query_;
};

class CanonicalReading {
 public:
  explicit CanonicalReading(const RequestView& request) : request_(*request.canonical), path_(scratch_.memory()) {
    path_.reserve(kUsualPath);
    for (const std::string_view segment : request_.path.segments) {
      path_ += segment;
      path_ += '/';
    }
  }

  static const PrefixIndex& paths(const RuleSet& rules) { return rules.canonical_paths(); }
  static const PrefixIndex& paths(const SpecialGrants& grants) { return grants.canonical; }
  std::string_view path() const { return path_; }
  bool meets(const Privilege& privilege) const {
    return policy::meets(request_.query.pairs, privilege.canonical_query);
  }

 private:
  Scratch scratch_;
  const request::CanonicalRequest& request_;
  std::pmr::string path_;
};

/// All that rules say of one request in one reading.
template <class Reading>
class Evaluation {
 public:
  Evaluation(const RuleSet& rules, const identity::ConnectionIdentity& caller, const RequestView& request,
             Reading& reading)
      : rules_(rules), caller_(caller), reading_(reading) {
    if (rules.names_methods()) {
      const auto method = request::parse_method(request.method);
      method_ = method ? static_cast<std::uint8_t>(1U << static_cast<unsigned>(*method)) : kOtherMethod;
    }
  }

  RuleOutcome search(const RuleOutcome* other) {
    if (std::optional<RuleOutcome> denied = deny()) {
      return *denied;
    }
    Search search(rules_, caller_, other);
    Reading::paths(rules_).any_prefix(reading_.path(), [&](std::span<const std::uint32_t> privileges) {
      return std::ranges::any_of(
          privileges, [&](std::uint32_t index) { return applies(index) && search.privilege_matches(index); });
    });
    return std::move(search).outcome();
  }

  /// A dry-run deny goes before a dry-run allow, and a real deny before that one.
  DryRun dry_run(bool denied) {
    DryRun out;
    each_grant(rules_.dry_runs(), [&](std::uint32_t privilege, std::uint32_t role) {
      const bool deny = rules_.roles()[role].effect.deny;
      const std::optional<std::uint32_t> identity = deny ? denied_identity(role) : allowed_identity(role);
      if (identity && (deny || (!denied && out.verdict == Verdict::kNotRun))) {
        out = {.verdict = deny ? Verdict::kDeny : Verdict::kAllow,
               .privilege = privilege,
               .role = role,
               .identity = *identity};
      }
      return out.verdict == Verdict::kDeny;
    });
    return out;
  }

 private:
  static constexpr std::uint8_t kOtherMethod = 0x80;

  bool applies(std::uint32_t index) {
    const Privilege& privilege = rules_.privileges()[index];
    return (privilege.methods & method_) != 0 && reading_.meets(privilege);
  }

  /// Calls visit(privilege, role) for each grant whose privilege matches, until it returns true.
  template <class Visit>
  void each_grant(const SpecialGrants& grants, Visit visit) {
    if (grants.entries.empty()) {
      return;
    }
    Reading::paths(grants).any_prefix(reading_.path(), [&](std::span<const std::uint32_t> entries) {
      return std::ranges::any_of(entries, [&](std::uint32_t index) {
        const SpecialGrants::Entry& entry = grants.entries[index];
        return applies(entry.privilege) &&
               std::ranges::any_of(entry.roles, [&](std::uint32_t role) { return visit(entry.privilege, role); });
      });
    });
  }

  std::optional<RuleOutcome> deny() {
    std::optional<RuleOutcome> out;
    each_grant(rules_.denies(), [&](std::uint32_t privilege, std::uint32_t role) {
      if (const std::optional<std::uint32_t> identity = denied_identity(role)) {
        out = RuleOutcome{
            .verdict = Verdict::kDeny, .by_deny = true, .privilege = privilege, .role = role, .identity = *identity};
      }
      return out.has_value();
    });
    return out;
  }

  std::optional<std::uint32_t> denied_identity(std::uint32_t role) const {
    return first_identity(role, [&](const IdentityRule& rule) { return may_be(rule, caller_); });
  }
  std::optional<std::uint32_t> allowed_identity(std::uint32_t role) const {
    return first_identity(role, [&](const IdentityRule& rule) { return match_identity(rule, caller_).matched; });
  }
  template <class Fits>
  std::optional<std::uint32_t> first_identity(std::uint32_t role, Fits fits) const {
    const std::vector<std::uint32_t>& identities = rules_.roles()[role].identities;
    const auto found =
        std::ranges::find_if(identities, [&](std::uint32_t index) { return fits(rules_.identities()[index]); });
    return found == identities.end() ? std::nullopt : std::optional(*found);
  }

  const RuleSet& rules_;
  const identity::ConnectionIdentity& caller_;
  Reading& reading_;
  std::uint8_t method_ = Privilege::kAnyMethod;
};

template <class Reading>
RuleOutcome evaluate(const RuleSet& rules, const identity::ConnectionIdentity& caller, const RequestView& request,
                     const RuleOutcome* other) {
  if (rules.privileges().empty()) {
    return Search(rules, caller, other).outcome();
  }
  [[clang::uninitialized]] Reading reading(request);  // hardened builds would clear all of it for each decision
  Evaluation<Reading> evaluation(rules, caller, request, reading);
  RuleOutcome out = evaluation.search(other);
  if (other == nullptr) {
    out.dry_run = evaluation.dry_run(out.by_deny);
  }
  return out;
}

}  // namespace

RuleOutcome match_legacy(const RuleSet& rules, const identity::ConnectionIdentity& caller, const RequestView& request,
                         const RuleOutcome* other) {
  return evaluate<LegacyReading>(rules, caller, request, other);
}

RuleOutcome match_canonical(const RuleSet& rules, const identity::ConnectionIdentity& caller,
                            const RequestView& request, const RuleOutcome* other) {
  if (request.canonical == nullptr || request.fault != request::Fault::kNone) {
    return {.verdict = Verdict::kReject};
  }
  return evaluate<CanonicalReading>(rules, caller, request, other);
}

}  // namespace msp::policy
