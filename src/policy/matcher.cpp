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

namespace msp::policy {
namespace {

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
  Search(const RuleSet& rules, const identity::ConnectionIdentity& caller) : x_rules(rules), x_caller(caller) {}

  /// A privilege whose path and query match. True: allowed, nothing more to look at.
  bool privilege_matches(std::uint32_t index) {
    x_matched = true;
    if (x_outcome.privilege == RuleOutcome::kNone) {
      x_outcome.privilege = index;
    }
    for (const std::uint32_t role : x_rules.privileges()[index].roles) {
      for (const std::uint32_t identity : x_rules.roles()[role].identities) {
        const IdentityMatch match = match_identity(x_rules.identities()[identity], x_caller);
        if (match.matched || match.fields_met > x_nearest) {
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
  int x_nearest = -1;
  bool x_matched = false;
};

/// The pairs of a request as the legacy matcher reads them: of the raw query, then of what `%3F` hid in the path.
class LegacyQuery {
 public:
  LegacyQuery(std::string_view raw, std::string_view embedded, std::pmr::memory_resource* memory)
      : x_raw(raw), x_embedded(embedded), x_pairs(memory) {}

  bool meets(const std::vector<std::pair<std::string, std::string>>& required) {
    return std::ranges::all_of(required, [this](const auto& pair) {
      const std::pmr::string* const value = first_value(pair.first);
      return value != nullptr && std::string_view(*value) == pair.second;
    });
  }

 private:
  using Pairs = std::pmr::vector<std::pair<std::pmr::string, std::pmr::string>>;

  /// Only the first occurrence counts.
  const std::pmr::string* first_value(std::string_view key) {
    if (!x_split) {
      x_split = true;
      split(x_raw);
      split(x_embedded);
    }
    const auto found =
        std::ranges::find_if(x_pairs, [&](const auto& pair) { return std::string_view(pair.first) == key; });
    return found == x_pairs.end() ? nullptr : &found->second;
  }

  void split(std::string_view query) {
    while (!query.empty()) {
      const std::string_view part = query.substr(0, query.find('&'));
      query.remove_prefix(std::min(query.size(), part.size() + 1));
      const std::size_t equals = part.find('=');
      const std::string_view key = part.substr(0, equals);
      if (key.empty()) {
        continue;
      }
      auto& pair = x_pairs.emplace_back();
      append_decoded_lower(key, pair.first);
      if (equals != std::string_view::npos) {
        append_decoded_lower(part.substr(equals + 1), pair.second);
      }
    }
  }

  std::string_view x_raw;
  std::string_view x_embedded;
  Pairs x_pairs;
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

RuleOutcome match_legacy(const RuleSet& rules, const identity::ConnectionIdentity& caller, const RequestView& request) {
  Search search(rules, caller);
  if (!rules.privileges().empty()) {
    Scratch scratch;
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
                            const RequestView& request) {
  if (request.canonical == nullptr || request.fault != request::Fault::kNone) {
    return {.verdict = Verdict::kReject};
  }
  Search search(rules, caller);
  if (!rules.privileges().empty()) {
    Scratch scratch;
    std::pmr::string path(scratch.memory());
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
