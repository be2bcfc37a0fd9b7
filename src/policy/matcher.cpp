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
#include "policy/scratch.h"

namespace msp::policy {
namespace {

constexpr std::size_t kUsualPath = 256;

/// For the folded texts of one request.
using Texts = Scratch<8192>;

/// Collects matching privileges until one of their identities is the caller; keeps the nearest miss.
class Search {
 public:
  Search(const RuleSet& rules, const identity::ConnectionIdentity& caller, Holdings& holdings, const RuleOutcome* other)
      : rules_(rules), caller_(caller), holdings_(holdings) {
    if (other != nullptr && other->verdict == Verdict::kAllow && !other->by_default) {
      known_role_ = other->role;
    }
  }

  /// A privilege whose path and query match. True: allowed, nothing more to look at.
  bool privilege_matches(std::uint32_t index) {
    matched_ = true;
    if (nearest_ < 0) {
      outcome_.privilege = index;  // of several without identities, the one with the longest path
    }
    const Privilege& privilege = rules_.privileges()[index];
    const auto this_one = [index](std::size_t) { return index; };
    return is_known(privilege.roles) ||
           (privilege.many_callers ? any_of_many(privilege.roles, this_one) : any_of_few(index, privilege.roles));
  }

  /// The same of privileges that match alike.
  bool alike_match(const Holders& holders) {
    matched_ = true;
    if (nearest_ < 0) {
      outcome_.privilege = holders.privilege;
    }
    return is_known(holders.roles) ||
           any_of_many(holders.roles, [&](std::size_t place) { return holders.privilege_at(place); });
  }

  RuleOutcome outcome() && {
    if (!matched_) {
      outcome_.by_default = true;
      outcome_.verdict = rules_.default_allow() ? Verdict::kAllow : Verdict::kDeny;
    }
    return outcome_;
  }

 private:
  bool is_known(const std::vector<std::uint32_t>& roles) {
    if (known_role_ == RuleOutcome::kNone || !std::ranges::binary_search(roles, known_role_)) {
      return false;
    }
    outcome_.verdict = Verdict::kAllow;
    return true;
  }

  /// The first identity that is the caller; if none is, the last of those that come nearest.
  bool any_of_few(std::uint32_t privilege, const std::vector<std::uint32_t>& roles) {
    return std::ranges::any_of(roles, [&](std::uint32_t role) {
      return std::ranges::any_of(rules_.roles()[role].identities,
                                 [&](std::uint32_t identity) { return take(privilege, role, identity); });
    });
  }

  /// The same without looking at those that the caller is not: a miss names one that stands for all.
  /// `privilege_at` gives the privilege that the role at a place in `roles` holds.
  template <class PrivilegeAt>
  bool any_of_many(const std::vector<std::uint32_t>& roles, PrivilegeAt privilege_at) {
    if (roles.empty()) {
      return false;
    }
    if (holdings_.any_grant(Holdings::Fits::kIs, roles, [&](std::size_t place, std::uint32_t identity) {
          return take(privilege_at(place), roles[place], identity);
        })) {
      return true;
    }
    const std::vector<std::uint32_t>& last = rules_.roles()[roles.back()].identities;
    return !last.empty() && take(privilege_at(roles.size() - 1), roles.back(), last.back());
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
  int nearest_ = -1;
  bool matched_ = false;
};

bool before(const request::QueryPair& a, const request::QueryPair& b) {
  const int order = a.key.compare(b.key);
  return order != 0 ? order < 0 : a.value < b.value;
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
  std::size_t count_pairs() { return query_.count(); }
  bool has_pair(std::string_view key, std::string_view value) const { return query_.holds(key, value); }
  std::size_t count_values(std::string_view key) { return query_.value_of(key) ? 1 : 0; }
  template <class F>
  bool any_value(std::string_view key, F f) {
    const std::optional<std::string_view> value = query_.value_of(key);
    return value && f(*value);
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

  Texts scratch_;
  std::pmr::string folded_;
  std::string_view path_;
  LegacyQuery query_;
};

class CanonicalReading {
 public:
  explicit CanonicalReading(const RequestView& request)
      : path_(scratch_.memory()), sorted_(scratch_.memory()), pairs_(request.canonical->query.pairs) {
    path_.reserve(kUsualPath);
    for (const std::string_view segment : request.canonical->path.segments) {
      path_ += segment;
      path_ += '/';
    }
    if (std::ranges::adjacent_find(pairs_, {}, &request::QueryPair::key) != pairs_.end()) {
      sort_values();
    }
  }

  static const RuleIndex& index(const RuleSet& rules) { return rules.canonical_paths(); }
  static const RuleIndex& index(const SpecialGrants& grants) { return grants.canonical; }
  std::string_view path() const { return path_; }
  bool meets(const Privilege& privilege) const {
    return std::ranges::all_of(privilege.canonical_query, [&](const RequiredQuery& need) {
      return std::ranges::any_of(need.values, [&](const std::string& value) { return has_pair(need.key, value); });
    });
  }
  template <class F>
  bool any_pair(F f) const {
    return std::ranges::any_of(pairs_, [&](const request::QueryPair& pair) { return f(pair.key, pair.value); });
  }
  std::size_t count_pairs() const { return pairs_.size(); }
  bool has_pair(std::string_view key, std::string_view value) const {
    return std::ranges::binary_search(pairs_, request::QueryPair{.key = key, .value = value}, before);
  }
  std::size_t count_values(std::string_view key) const { return values_of(key).size(); }
  template <class F>
  bool any_value(std::string_view key, F f) const {
    return std::ranges::any_of(values_of(key), f, &request::QueryPair::value);
  }

 private:
  std::ranges::subrange<std::span<const request::QueryPair>::iterator> values_of(std::string_view key) const {
    return std::ranges::equal_range(pairs_, key, {}, &request::QueryPair::key);
  }

  /// Pairs of one key stand in the order of the request, as often as they are there.
  void sort_values() {
    sorted_.assign(pairs_.begin(), pairs_.end());
    std::ranges::sort(sorted_, before);
    const auto rest = std::ranges::unique(sorted_);
    sorted_.erase(rest.begin(), rest.end());
    pairs_ = sorted_;
  }

  Texts scratch_;
  std::pmr::string path_;
  std::pmr::vector<request::QueryPair> sorted_;  ///< empty where no key occurs twice
  std::span<const request::QueryPair> pairs_;    ///< sorted, each once
};

/// What the index is asked with: the pairs of the query, and the method where rules name any.
template <class Reading>
class Pairs {
 public:
  Pairs(Reading& reading, std::string_view method) : reading_(reading), method_(method) {}

  template <class F>
  bool operator()(F f) const {
    return (!method_.empty() && f(kMethodKey, method_)) || reading_.any_pair(f);
  }
  std::size_t count() const { return reading_.count_pairs(); }
  bool has(std::string_view key, std::string_view value) const {
    return (key == kMethodKey && value == method_) || reading_.has_pair(key, value);
  }
  std::size_t count(std::string_view key) const { return reading_.count_values(key) + (is_method(key) ? 1 : 0); }
  template <class F>
  bool any_value(std::string_view key, F f) const {
    return (is_method(key) && f(method_)) || reading_.any_value(key, f);
  }

 private:
  /// A rule may ask for a pair with this key, too.
  bool is_method(std::string_view key) const { return key == kMethodKey && !method_.empty(); }

  Reading& reading_;
  std::string_view method_;
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
    const std::size_t count = rules_.privileges().size();
    any(rules_, [&](std::uint32_t index) {
      if (index < count) {
        return applies(index) && search.privilege_matches(index);
      }
      const Holders& holders = rules_.alike()[index - count];
      return applies(holders.privilege) && search.alike_match(holders);
    });
    return std::move(search).outcome();
  }

  /// A dry-run deny goes before a dry-run allow, and a real deny before that one.
  DryRun dry_run(bool denied) {
    DryRun out;
    each_grant(rules_.dry_runs(), [&](std::uint32_t privilege, std::uint32_t role, std::uint32_t identity) {
      const bool deny = rules_.roles()[role].effect.deny;
      if (deny || (!denied && out.verdict == Verdict::kNotRun)) {
        out = {.verdict = deny ? Verdict::kDeny : Verdict::kAllow,
               .privilege = privilege,
               .role = role,
               .identity = identity};
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
    return Reading::index(from).any(reading_.path(), Pairs(reading_, method_text_), visit);
  }

  /// Calls visit(privilege, role, identity) for each grant whose privilege matches and whose identity is the caller
  /// (for a deny: may be), until it returns true. Of a role's identities the first counts.
  template <class Visit>
  bool each_grant(const SpecialGrants& grants, Visit visit) {
    return !grants.entries.empty() && any(grants, [&](std::uint32_t index) {
      const SpecialGrants::Entry& entry = grants.entries[index];
      const Holders& holders = entry.holders;
      const auto found = [&](std::uint32_t role, std::uint32_t identity) {
        return visit(holders.privilege_of(role), role, identity);
      };
      return applies(holders.privilege) &&
             (holders.many_callers ? any_of_many(entry, found) : any_of_few(entry, found));
    });
  }

  template <class Found>
  bool any_of_few(const SpecialGrants::Entry& entry, Found found) {
    return std::ranges::any_of(entry.holders.roles, [&](std::uint32_t number) {
      const RoleGrant& role = rules_.roles()[number];
      const auto identity = std::ranges::find_if(role.identities, [&](std::uint32_t each) {
        const IdentityRule& rule = rules_.identities()[each];
        return role.effect.deny ? may_be(rule, caller_) : match_identity(rule, caller_).matched;
      });
      return identity != role.identities.end() && found(number, *identity);
    });
  }

  /// The same without looking at those that the caller is not.
  template <class Found>
  bool any_of_many(const SpecialGrants::Entry& entry, Found found) {
    using Fits = Holdings::Fits;
    const auto any_grant = [&](Fits fits) {
      return holdings_.any_grant(fits, entry.holders.roles, [&](std::size_t place, std::uint32_t identity) {
        const std::uint32_t role = entry.holders.roles[place];
        return rules_.roles()[role].effect.deny == (fits == Fits::kMayBe) && found(role, identity);
      });
    };
    if (const UnknownFields unknown = holdings_.unknown(); unknown != 0) {
      const SpecialGrants::Hit& hit = entry.blind[unknown];
      if (hit.role != SpecialGrants::kNone) {
        const std::optional<std::uint32_t> other = holdings_.identity_in(Fits::kMayBe, hit.role);
        if (found(hit.role, std::min(hit.identity, other.value_or(hit.identity)))) {
          return true;
        }
      }
    }
    return any_grant(Fits::kMayBe) || any_grant(Fits::kIs);
  }

  std::optional<RuleOutcome> deny() {
    std::optional<RuleOutcome> out;
    each_grant(rules_.denies(), [&](std::uint32_t privilege, std::uint32_t role, std::uint32_t identity) {
      out = RuleOutcome{
          .verdict = Verdict::kDeny, .by_deny = true, .privilege = privilege, .role = role, .identity = identity};
      return true;
    });
    return out;
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
