// SPDX-License-Identifier: Apache-2.0
// Finds, of many items that demand something each, those whose demands may be met, without looking at the others.
// Built once while a rule set is compiled, immutable afterwards; any thread. Items are rules (demands of a query) and
// identities (demands of a caller).
// Nothing can fail. What it leaves out misses a demand; what it finds is still to be asked for all of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace msp::policy {

/// A key that must be there, with one of these values.
struct Demand {
  std::string key;
  std::vector<std::string> values;
};

class DemandIndex {
 public:
  /// Up to here items are looked through, beyond they are found by what they demand.
  static constexpr std::size_t kFew = 4;
  /// All that the item of this number (below 2^31) demands.
  using Demands = std::function<std::vector<Demand>(std::uint32_t)>;

  /// The items as visit() takes them: those that demand nothing, and where the others are found.
  std::vector<std::uint32_t> add(std::span<const std::uint32_t> items, const Demands& demands);

  /// Calls f(item) for those of add()'s answer that may be meant, some more than once, until it returns true; returns
  /// whether it did. `any_pair(g)` calls g(key, value) for each pair that is there until it returns true.
  template <class AnyPair, class F>
  bool visit(std::span<const std::uint32_t> added, const AnyPair& any_pair, const F& f) const {
    return std::ranges::any_of(added, [&](std::uint32_t value) {
      return value < kTable ? f(value) : any_pair([&](std::string_view key, std::string_view text) {
        return visit(tables_[value - kTable].find(key, text), any_pair, f);
      });
    });
  }

 private:
  static constexpr std::uint32_t kTable = 1U << 31;  ///< values from here on are not items but tables

  struct Pair {
    std::string_view key;
    std::string_view value;

    bool operator==(const Pair&) const = default;
  };
  struct OwnPair {
    std::string key;
    std::string value;
  };
  static Pair view(const Pair& pair) { return pair; }
  static Pair view(const OwnPair& pair) { return {pair.key, pair.value}; }
  struct Hash {
    using is_transparent = void;
    template <class P>
    std::size_t operator()(const P& pair) const {
      const std::hash<std::string_view> hash;
      return hash(view(pair).key) * 31 + hash(view(pair).value);
    }
  };
  struct Equal {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return view(a) == view(b);
    }
  };
  template <class T>
  using ByPair = std::unordered_map<OwnPair, T, Hash, Equal>;

  /// Pair → items that demand it, each under one of its keys only. Where those are many, they stand in a table of
  /// their own, by another key.
  struct Table {
    std::vector<std::string> keys;  ///< all that `items` has; few
    ByPair<std::vector<std::uint32_t>> items;

    std::span<const std::uint32_t> find(std::string_view key, std::string_view value) const;
  };

  std::vector<std::uint32_t> add(std::span<const std::uint32_t> items, const Demands& demands,
                                 std::vector<std::string>& used);
  std::uint32_t make_table(std::span<const std::uint32_t> items, const Demands& demands,
                           std::vector<std::string>& used);

  std::vector<Table> tables_;
};

}  // namespace msp::policy
