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
#include "policy/holdings.h"
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
  Search(const RuleSet& rules, const identity::ConnectionIdentity& caller, Holdings& holdings, const RuleOutcome* other)
      : rules_(rules), caller_(caller), holdings_(holdings) {
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
    if (std::ranges::binary_search(roles, known_role_)) {
      outcome_ = {.verdict = Verdict::kAllow, .privilege = index, .role = known_role_, .identity = known_identity_};
      return true;
    }
    return rules_.privileges()[index].many_callers ? any_of_many(index, roles) : any_of_few(index, roles);
  }

  RuleOutcome outcome() && {
    if (!matched_) {
      outcome_.by_default = true;
      outcome_.verdict = rules_.default_allow() ? Verdict::kAllow : Verdict::kDeny;
    }
    return outcome_;
  }

 private:
  /// The first identity that is the caller; if none is, the last of those that come nearest.
  bool any_of_few(std::uint32_t privilege, const std::vector<std::uint32_t>& roles) {
    return std::ranges::any_of(roles, [&](std::uint32_t role) {
      return std::ranges::any_of(rules_.roles()[role].identities,
                                 [&](std::uint32_t identity) { return take(privilege, role, identity); });
    });
  }

  /// The same without looking at those that the caller is not: a miss names one that stands for all.
  bool any_of_many(std::uint32_t privilege, const std::vector<std::uint32_t>& roles) {
    if (holdings_.any_grant(
            roles, [&](std::uint32_t role, std::uint32_t identity) { return take(privilege, role, identity); })) {
      return true;
    }
    const std::vector<std::uint32_t>& last = rules_.roles()[roles.back()].identities;
    return !last.empty() && take(privilege, roles.back(), last.back());
  }

  /// True: it is the caller. A miss is kept if none came nearer.
  bool take(std::uint32_t privilege, std::uint32_t role, std::uint32_t identity) {
    const IdentityMatch match = match_identity(rules_.identities()[identity], caller_);
    if (match.matched || match.fields_met >= nearest_) {
      nearest_ = match.fields_met;
      outcome_.privilege = privilege;
      outcome_.role = role;
      outcome_.identity = identity;
      outcome_.missed_field = match.missed_field;
    }
    if (match.matched) {
      outcome_.verdict = Verdict::kAllow;
    }
    return match.matched;
  }

  const RuleSet& rules_;
  const identity::ConnectionIdentity& caller_;
  Holdings& holdings_;
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

  static const RuleIndex& index(const RuleSet& rules) { return rules.legacy_paths(); }
  static const RuleIndex& index(const SpecialGrants& grants) { return grants.legacy; }
  std::string_view path() const { return path_; }
  bool meets(const Privilege& privilege) { return query_.meets(privilege.legacy_query); }
  template <class F>
  bool any_pair(F f) {
    return query_.any_pair(f);
  }

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

  static const RuleIndex& index(const RuleSet& rules) { return rules.canonical_paths(); }
  static const RuleIndex& index(const SpecialGrants& grants) { return grants.canonical; }
  std::string_view path() const { return path_; }
  bool meets(const Privilege& privilege) const {
    return policy::meets(request_.query.pairs, privilege.canonical_query);
  }
  template <class F>
  bool any_pair(F f) const {
    return std::ranges::any_of(request_.query.pairs,
                               [&](const request::QueryPair& pair) { return f(pair.key, pair.value); });
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
             Reading& reading, Holdings& holdings)
      : rules_(rules), caller_(caller), reading_(reading), holdings_(holdings) {
    if (rules.names_methods()) {
      const auto method = request::parse_method(request.method);
      method_ = method ? method_bit(*method) : kOtherMethod;
      method_text_ = method ? to_string(*method) : std::string_view();
    }
  }

  RuleOutcome search(const RuleOutcome* other) {
    if (std::optional<RuleOutcome> denied = deny()) {
      return *denied;
    }
    Search search(rules_, caller_, holdings_, other);
    any(rules_, [&](std::uint32_t index) { return applies(index) && search.privilege_matches(index); });
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

  /// Calls visit(number) for what the index of `from` finds, until it returns true.
  template <class From, class Visit>
  bool any(const From& from, Visit visit) {
    const auto any_pair = [&](auto f) {
      return (!method_text_.empty() && f(kMethodKey, method_text_)) || reading_.any_pair(f);
    };
    return Reading::index(from).any(reading_.path(), any_pair, visit);
  }

  /// Calls visit(privilege, role) for each grant whose privilege matches, until it returns true.
  template <class Visit>
  void each_grant(const SpecialGrants& grants, Visit visit) {
    if (grants.entries.empty()) {
      return;
    }
    any(grants, [&](std::uint32_t index) {
      const SpecialGrants::Entry& entry = grants.entries[index];
      return applies(entry.privilege) &&
             any_role(entry, [&](std::uint32_t role) { return visit(entry.privilege, role); });
    });
  }

  /// Calls visit(role) for those that may concern the caller, until it returns true.
  template <class Visit>
  bool any_role(const SpecialGrants::Entry& entry, Visit visit) {
    // What is not known of the caller counts as fitting for a deny: the index would leave that out.
    if (entry.many_callers && is_fully_known(caller_)) {
      return holdings_.any_grant(entry.roles, [&](std::uint32_t role, std::uint32_t) { return visit(role); });
    }
    return std::ranges::any_of(entry.roles, visit);
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

  std::optional<std::uint32_t> denied_identity(std::uint32_t role) {
    return first_identity(role, is_fully_known(caller_),
                          [&](const IdentityRule& rule) { return may_be(rule, caller_); });
  }
  std::optional<std::uint32_t> allowed_identity(std::uint32_t role) {
    return first_identity(role, true, [&](const IdentityRule& rule) { return match_identity(rule, caller_).matched; });
  }
  template <class Fits>
  std::optional<std::uint32_t> first_identity(std::uint32_t number, bool by_index, Fits fits) {
    const RoleGrant& role = rules_.roles()[number];
    if (by_index && role.identities.size() > IdentityIndex::kFew) {
      return holdings_.identity_in(role);
    }
    const auto found = std::ranges::find_if(
        role.identities, [&](std::uint32_t identity) { return fits(rules_.identities()[identity]); });
    return found == role.identities.end() ? std::nullopt : std::optional(*found);
  }

  const RuleSet& rules_;
  const identity::ConnectionIdentity& caller_;
  Reading& reading_;
  Holdings& holdings_;
  std::uint8_t method_ = Privilege::kAnyMethod;
  std::string_view method_text_;  ///< empty: no rule asks for it, or it is none that a rule can name
};

template <class Reading>
RuleOutcome evaluate(const RuleSet& rules, const identity::ConnectionIdentity& caller, const RequestView& request,
                     const RuleOutcome* other) {
  // Hardened builds would clear all of both for each decision.
  [[clang::uninitialized]] Holdings holdings(rules, caller);
  if (rules.privileges().empty()) {
    return Search(rules, caller, holdings, other).outcome();
  }
  [[clang::uninitialized]] Reading reading(request);
  Evaluation<Reading> evaluation(rules, caller, request, reading, holdings);
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
