// SPDX-License-Identifier: Apache-2.0
// Finds, of many items that demand something each, those whose demands may be met, without looking at the others.
// Built once while a rule set is compiled, immutable afterwards; any thread. Items are rules (demands of a query) and
// identities (demands of a caller).
// Nothing can fail. What it leaves out misses a demand; what it finds is still to be asked for all of them.
// Both sides may be hostile in size: an item is filed under kMostValues pairs at most, and a look-up takes no more
// steps than there are filed items, whatever a client repeats in its query.
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

  auto operator<=>(const Demand&) const = default;
};

class DemandIndex {
 public:
  /// Up to here items are looked through, beyond they are found by what they demand.
  static constexpr std::size_t kFew = 4;
  /// So many keys, one after the other, tell items from each other; beyond they are looked through.
  static constexpr std::size_t kMostKeys = 8;
  /// A demand that more values meet than these (every method that can be named) finds nothing.
  static constexpr std::size_t kMostValues = 8;
  /// All that the item of this number (below 2^31) demands.
  using Demands = std::function<std::vector<Demand>(std::uint32_t)>;

  /// The items as visit() takes them: those that demand nothing, and where the others are found.
  std::vector<std::uint32_t> add(std::span<const std::uint32_t> items, const Demands& demands);

  /// Calls f(item) for those of add()'s answer that may be meant, some more than once, until it returns true; returns
  /// whether it did. `pairs(g)` calls g(key, value) for each pair that is there, each once, until it returns true.
  /// Pairs that may be many have count(), how many, and has(key, value), too.
  template <class Pairs, class F>
  bool visit(std::span<const std::uint32_t> added, const Pairs& pairs, const F& f) const {
    return std::ranges::any_of(added, [&](std::uint32_t value) {
      return value < kTable ? f(value) : visit_table(tables_[value - kTable], pairs, f);
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
  using Table = ByPair<std::vector<std::uint32_t>>;

  /// From a list of items to a table below it.
  struct Way {
    std::vector<std::string> used;  ///< keys
    bool several = false;           ///< an item on it stands under several pairs: once is enough
  };

  template <class Pairs, class F>
  bool visit_table(const Table& table, const Pairs& pairs, const F& f) const {
    if constexpr (requires { pairs.count(); }) {
      if (table.size() < pairs.count()) {
        return std::ranges::any_of(table, [&](const auto& entry) {
          return pairs.has(entry.first.key, entry.first.value) && visit(entry.second, pairs, f);
        });
      }
    }
    return pairs([&](std::string_view key, std::string_view value) {
      const auto found = table.find(Pair{key, value});
      return found != table.end() && visit(found->second, pairs, f);
    });
  }

  std::vector<std::uint32_t> add(std::span<const std::uint32_t> items, const Demands& demands, const Way& way);
  std::uint32_t make_table(std::span<const std::uint32_t> items, const Demands& demands, const Way& way);
  static std::vector<Demand> left(std::vector<Demand> demands, const Way& way);

  std::vector<Table> tables_;
};

}  // namespace msp::policy
