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

/// The pairs of a request as the legacy matcher reads them: of the raw query, then of what `%3F` hid in the path. Only
/// the first occurrence of a key counts. Split and folded once, when the first rule asks.
class LegacyQuery {
 public:
  LegacyQuery(std::string_view raw, std::string_view embedded, std::pmr::memory_resource* memory)
      : raw_(raw), embedded_(embedded), text_(memory), pairs_(memory) {}

  bool meets(const std::vector<std::pair<std::string, std::string>>& required) {
    return std::ranges::all_of(required, [this](const auto& pair) {
      const std::optional<std::string_view> value = first_value(pair.first);
      return value && *value == pair.second;
    });
  }

 private:
  struct Pair {  // offsets into text_
    std::uint32_t key = 0;
    std::uint32_t value = 0;
    std::uint32_t end = 0;
  };
  /// Up to here looking at each is cheaper than sorting.
  static constexpr std::size_t kFew = 16;

  std::string_view key_of(const Pair& pair) const {
    return std::string_view(text_).substr(pair.key, pair.value - pair.key);
  }

  std::optional<std::string_view> first_value(std::string_view key) {
    if (!split_) {
      split();
    }
    const auto found =
        pairs_.size() <= kFew
            ? std::ranges::find(pairs_, key, [this](const Pair& pair) { return key_of(pair); })
            : std::ranges::lower_bound(pairs_, key, {}, [this](const Pair& pair) { return key_of(pair); });
    if (found == pairs_.end() || key_of(*found) != key) {
      return std::nullopt;
    }
    return std::string_view(text_).substr(found->value, found->end - found->value);
  }

  void split() {
    split_ = true;
    text_.reserve(raw_.size() + embedded_.size());
    pairs_.reserve(kFew);
    split(raw_);
    split(embedded_);
    if (pairs_.size() > kFew) {
      std::ranges::sort(pairs_, [this](const Pair& a, const Pair& b) {
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
      Pair& pair = pairs_.emplace_back();
      pair.key = static_cast<std::uint32_t>(text_.size());
      append_decoded_lower(key, text_);
      pair.value = static_cast<std::uint32_t>(text_.size());
      append_decoded_lower(part.substr(std::min(part.size(), key.size() + 1)), text_);
      pair.end = static_cast<std::uint32_t>(text_.size());
    }
  }

  std::string_view raw_;
  std::string_view embedded_;
  std::pmr::string text_;
  std::pmr::vector<Pair> pairs_;
  bool split_ = false;
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
