// SPDX-License-Identifier: Apache-2.0
#include "policy/matcher.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory_resource>
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

}  // namespace

RuleOutcome match_legacy(const RuleSet& rules, const identity::ConnectionIdentity& caller, const RequestView& request,
                         const RuleOutcome* other) {
  Search search(rules, caller, other);
  if (!rules.privileges().empty()) {
    [[clang::uninitialized]] Scratch scratch;  // hardened builds would clear all of it for each decision
    std::pmr::string folded(scratch.memory());
    append_decoded_lower(request.path, folded);
    const std::string_view text = folded;
    const std::string_view path = text.substr(0, text.find('?'));
    LegacyQuery query(request.query, text.substr(std::min(text.size(), path.size() + 1)), scratch.memory());
    rules.legacy_paths().any_prefix(path, [&](std::span<const std::uint32_t> privileges) {
      return std::ranges::any_of(privileges, [&](std::uint32_t index) {
        return query.meets(rules.privileges()[index].legacy_query) && search.privilege_matches(index);
      });
    });
  }
  return std::move(search).outcome();
}

RuleOutcome match_canonical(const RuleSet& rules, const identity::ConnectionIdentity& caller,
                            const RequestView& request, const RuleOutcome* other) {
  if (request.canonical == nullptr || request.fault != request::Fault::kNone) {
    return {.verdict = Verdict::kReject};
  }
  Search search(rules, caller, other);
  if (!rules.privileges().empty()) {
    [[clang::uninitialized]] Scratch scratch;  // hardened builds would clear all of it for each decision
    std::pmr::string path(scratch.memory());
    path.reserve(kUsualPath);
    for (const std::string_view segment : request.canonical->path.segments) {
      path += segment;
      path += '/';
    }
    rules.canonical_paths().any_prefix(path, [&](std::span<const std::uint32_t> privileges) {
      return std::ranges::any_of(privileges, [&](std::uint32_t index) {
        return meets(request.canonical->query.pairs, rules.privileges()[index].canonical_query) &&
               search.privilege_matches(index);
      });
    });
  }
  return std::move(search).outcome();
}

}  // namespace msp::policy
