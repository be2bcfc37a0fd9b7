// SPDX-License-Identifier: Apache-2.0
// The query of a request as the legacy matcher reads it (protocol.md E.3).
// Lives for one decision, on its thread; views into the request's bytes, which come from the client.
// Nothing fails: what cannot be decoded is text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace msp::policy {

/// The pairs of the raw query, then those that `%3F` hid in the path. Only the first occurrence of a key counts.
class LegacyQuery {
 public:
  /// `embedded`: decoded and lowered with the path already, and decoded once more here.
  LegacyQuery(std::string_view raw, std::string_view embedded, std::pmr::memory_resource* memory)
      : raw_(raw), embedded_(embedded), pairs_(memory), text_(memory), folded_(memory) {}

  /// Every required (key, value), both lowered, is there.
  bool meets(const std::vector<std::pair<std::string, std::string>>& required);

  /// Calls f(key, value), both decoded and lowered, for the first pair of each key until it returns true. f may ask
  /// meets() and holds().
  template <class F>
  bool any_pair(F f) {
    fold();
    std::string_view last;
    return std::ranges::any_of(folded_, [&](const Folded& pair) {
      const std::string_view key = text(pair.key, pair.value);
      return key != std::exchange(last, key) && f(key, text(pair.value, pair.end));
    });
  }
  /// All of them, of the same key, too.
  std::size_t count() {
    fold();
    return folded_.size();
  }
  /// Of the first pair of this key, lowered.
  std::optional<std::string_view> value_of(std::string_view key);
  /// The first pair of this key, lowered, has this value, lowered. After any other question.
  bool holds(std::string_view key, std::string_view value) const;

 private:
  struct Pair {
    std::string_view key;
    std::string_view value;
  };
  struct Folded {  // offsets into text_
    std::uint32_t key = 0;
    std::uint32_t value = 0;
    std::uint32_t end = 0;
  };
  /// Up to here comparing the raw pairs is cheaper than folding and sorting all of them; beyond, a client must not make
  /// each rule pay for each pair.
  static constexpr std::size_t kFew = 16;

  void split();
  void split(std::string_view query);
  void fold();
  void fold_and_sort();
  std::string_view text(std::uint32_t begin, std::uint32_t end) const {
    return std::string_view(text_).substr(begin, end - begin);
  }

  std::string_view raw_;
  std::string_view embedded_;
  std::pmr::vector<Pair> pairs_;
  std::pmr::string text_;
  std::pmr::vector<Folded> folded_;  ///< by key, then in order of appearance; empty if there are few
  bool split_ = false;
};

}  // namespace msp::policy
