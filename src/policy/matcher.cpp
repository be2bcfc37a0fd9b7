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
    return std::ranges::any_of(roles, [&](std::uint32_t number) {
      const RoleGrant& role = rules_.roles()[number];
      const std::optional<Assigned> best = role.index ? best_of_many(role) : best_of_few(role);
      return best && keep(index, number, *best);
    });
  }

  RuleOutcome outcome() && {
    if (!matched_) {
      outcome_.by_default = true;
      outcome_.verdict = rules_.default_allow() ? Verdict::kAllow : Verdict::kDeny;
    }
    return outcome_;
  }

 private:
  struct Assigned {
    std::uint32_t identity = RuleOutcome::kNone;
    IdentityMatch match;
  };

  Assigned assigned(std::uint32_t identity) const {
    return {.identity = identity, .match = match_identity(rules_.identities()[identity], caller_)};
  }

  /// The first identity that is the caller; if none is, the last of those that come nearest.
  std::optional<Assigned> best_of_few(const RoleGrant& role) const {
    std::optional<Assigned> best;
    for (const std::uint32_t identity : role.identities) {
      const Assigned next = assigned(identity);
      if (next.match.matched) {
        return next;
      }
      if (!best || next.match.fields_met >= best->match.fields_met) {
        best = next;
      }
    }
    return best;
  }

  /// As best_of_few(): those that the index leaves out meet none of their fields.
  std::optional<Assigned> best_of_many(const RoleGrant& role) const {
    Assigned best = assigned(role.identities.back());
    role.index->each_candidate(caller_, [&](std::uint32_t identity) {
      const Assigned next = assigned(identity);
      const bool better = next.match.matched != best.match.matched ? next.match.matched
                          : next.match.matched                     ? next.identity < best.identity
                          : next.match.fields_met != best.match.fields_met
                              ? next.match.fields_met > best.match.fields_met
                              : next.identity > best.identity;
      if (better) {
        best = next;
      }
    });
    return best;
  }

  /// True: it is the caller.
  bool keep(std::uint32_t privilege, std::uint32_t role, const Assigned& best) {
    if (best.match.matched || best.match.fields_met >= nearest_) {
      nearest_ = best.match.fields_met;
      outcome_.privilege = privilege;
      outcome_.role = role;
      outcome_.identity = best.identity;
      outcome_.missed_field = best.match.missed_field;
    }
    if (best.match.matched) {
      outcome_.verdict = Verdict::kAllow;
    }
    return best.match.matched;
  }

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
    return Reading::index(from).any(reading_.path(), [&](auto f) { return reading_.any_pair(f); }, visit);
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
             std::ranges::any_of(entry.roles, [&](std::uint32_t role) { return visit(entry.privilege, role); });
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
    // What is not known of the caller counts as fitting: the index would leave that out.
    return first_identity(role, is_fully_known(caller_),
                          [&](const IdentityRule& rule) { return may_be(rule, caller_); });
  }
  std::optional<std::uint32_t> allowed_identity(std::uint32_t role) const {
    return first_identity(role, true, [&](const IdentityRule& rule) { return match_identity(rule, caller_).matched; });
  }
  template <class Fits>
  std::optional<std::uint32_t> first_identity(std::uint32_t number, bool by_index, Fits fits) const {
    const RoleGrant& role = rules_.roles()[number];
    const auto is_one = [&](std::uint32_t identity) { return fits(rules_.identities()[identity]); };
    if (role.index && by_index) {
      std::optional<std::uint32_t> first;
      role.index->each_candidate(caller_, [&](std::uint32_t identity) {
        if ((!first || identity < *first) && is_one(identity)) {
          first = identity;
        }
      });
      return first;
    }
    const auto found = std::ranges::find_if(role.identities, is_one);
    return found == role.identities.end() ? std::nullopt : std::optional(*found);
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
