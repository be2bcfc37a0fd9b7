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

namespace msp::policy {
namespace {

constexpr std::size_t kUsualPath = 256;

/// Folded texts of one request; from the stack as long as they fit.
class Scratch {
 public:
  std::pmr::memory_resource* memory() { return &x_memory; }

 private:
  std::array<std::byte, 8192> x_buffer;
  std::pmr::monotonic_buffer_resource x_memory{x_buffer.data(), x_buffer.size()};
};

/// Collects matching privileges until one of their identities is the caller; keeps the nearest miss.
class Search {
 public:
  Search(const RuleSet& rules, const identity::ConnectionIdentity& caller, const RuleOutcome* other)
      : x_rules(rules), x_caller(caller) {
    if (other != nullptr && other->verdict == Verdict::kAllow && !other->by_default) {
      x_known_role = other->role;
      x_known_identity = other->identity;
    }
  }

  /// A privilege whose path and query match. True: allowed, nothing more to look at.
  bool privilege_matches(std::uint32_t index) {
    x_matched = true;
    if (x_nearest < 0) {
      x_outcome.privilege = index;  // of several without identities, the one with the longest path
    }
    const std::vector<std::uint32_t>& roles = x_rules.privileges()[index].roles;
    if (std::ranges::find(roles, x_known_role) != roles.end()) {
      x_outcome = {.verdict = Verdict::kAllow, .privilege = index, .role = x_known_role, .identity = x_known_identity};
      return true;
    }
    for (const std::uint32_t role : roles) {
      for (const std::uint32_t identity : x_rules.roles()[role].identities) {
        const IdentityMatch match = match_identity(x_rules.identities()[identity], x_caller);
        if (match.matched || match.fields_met >= x_nearest) {
          x_nearest = match.fields_met;
          x_outcome.privilege = index;
          x_outcome.role = role;
          x_outcome.identity = identity;
          x_outcome.missed_field = match.missed_field;
        }
        if (match.matched) {
          x_outcome.verdict = Verdict::kAllow;
          return true;
        }
      }
    }
    return false;
  }

  RuleOutcome outcome() && {
    if (!x_matched) {
      x_outcome.by_default = true;
      x_outcome.verdict = x_rules.default_allow() ? Verdict::kAllow : Verdict::kDeny;
    }
    return x_outcome;
  }

 private:
  const RuleSet& x_rules;
  const identity::ConnectionIdentity& x_caller;
  RuleOutcome x_outcome;
  std::uint32_t x_known_role = RuleOutcome::kNone;  ///< one of its identities is known to be the caller
  std::uint32_t x_known_identity = RuleOutcome::kNone;
  int x_nearest = -1;
  bool x_matched = false;
};

/// The pairs of a request as the legacy matcher reads them: of the raw query, then of what `%3F` hid in the path. Only
/// the first occurrence of a key counts. Split and folded once, when the first rule asks.
class LegacyQuery {
 public:
  LegacyQuery(std::string_view raw, std::string_view embedded, std::pmr::memory_resource* memory)
      : x_raw(raw), x_embedded(embedded), x_text(memory), x_pairs(memory) {}

  bool meets(const std::vector<std::pair<std::string, std::string>>& required) {
    return std::ranges::all_of(required, [this](const auto& pair) {
      const std::optional<std::string_view> value = first_value(pair.first);
      return value && *value == pair.second;
    });
  }

 private:
  struct Pair {  // offsets into x_text
    std::uint32_t key = 0;
    std::uint32_t value = 0;
    std::uint32_t end = 0;
  };
  /// Up to here looking at each is cheaper than sorting.
  static constexpr std::size_t kFew = 16;

  std::string_view key_of(const Pair& pair) const {
    return std::string_view(x_text).substr(pair.key, pair.value - pair.key);
  }

  std::optional<std::string_view> first_value(std::string_view key) {
    if (!x_split) {
      split();
    }
    const auto found =
        x_pairs.size() <= kFew
            ? std::ranges::find(x_pairs, key, [this](const Pair& pair) { return key_of(pair); })
            : std::ranges::lower_bound(x_pairs, key, {}, [this](const Pair& pair) { return key_of(pair); });
    if (found == x_pairs.end() || key_of(*found) != key) {
      return std::nullopt;
    }
    return std::string_view(x_text).substr(found->value, found->end - found->value);
  }

  void split() {
    x_split = true;
    x_text.reserve(x_raw.size() + x_embedded.size());
    x_pairs.reserve(kFew);
    split(x_raw);
    split(x_embedded);
    if (x_pairs.size() > kFew) {
      std::ranges::sort(x_pairs, [this](const Pair& a, const Pair& b) {
        const int order = key_of(a).compare(key_of(b));
        return order != 0 ? order < 0 : a.key < b.key;  // equal keys: in order of appearance
      });
    }
  }

  void split(std::string_view query) {
    while (!query.empty()) {
      const std::string_view part = query.substr(0, query.find('&'));
      query.remove_prefix(std::min(query.size(), part.size() + 1));
      const std::string_view key = part.substr(0, part.find('='));
      if (key.empty()) {
        continue;
      }
      Pair& pair = x_pairs.emplace_back();
      pair.key = static_cast<std::uint32_t>(x_text.size());
      append_decoded_lower(key, x_text);
      pair.value = static_cast<std::uint32_t>(x_text.size());
      append_decoded_lower(part.substr(std::min(part.size(), key.size() + 1)), x_text);
      pair.end = static_cast<std::uint32_t>(x_text.size());
    }
  }

  std::string_view x_raw;
  std::string_view x_embedded;
  std::pmr::string x_text;
  std::pmr::vector<Pair> x_pairs;
  bool x_split = false;
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
