// SPDX-License-Identifier: Apache-2.0
// Finds, of many items that demand something each, those whose demands may be met, without looking at the others.
// Built once while a rule set is compiled, immutable afterwards; any thread. Items are rules (demands of a query) and
// identities (demands of a caller).
// Nothing can fail. What it leaves out misses a demand; what it finds is still to be asked for all of them.
// Both sides may be hostile in size: an item is filed under kMostValues pairs at most, and a look-up takes no more
// steps than there are filed items, whatever a client repeats in its query. What all items of a node demand is asked
// for before any of them: what lacks it pays for the node alone.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
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
  /// A demand that more values meet than these finds nothing.
  static constexpr std::size_t kMostValues = 64;
  /// All that the item of this number (below 2^31) demands.
  using Demands = std::function<std::vector<Demand>(std::uint32_t)>;

  /// The items as visit() takes them: those that demand nothing, and where the others are found.
  std::vector<std::uint32_t> add(std::span<const std::uint32_t> items, const Demands& demands);

  /// Whether visit() makes use of pairs with this key.
  bool asks_for(std::string_view key) const;

  /// Calls f(item) for those of add()'s answer that may be meant, some more than once, until it returns true; returns
  /// whether it did. `pairs(g)` calls g(key, value) for each pair that is there, each once, until it returns true.
  /// Pairs that may be many have count(), how many, has(key, value), count(key) and, as of all, any_value(key, g), too.
  template <class Pairs, class F>
  bool visit(std::span<const std::uint32_t> added, const Pairs& pairs, const F& f) const {
    return std::ranges::any_of(added, [&](std::uint32_t value) {
      return value < kNode ? f(value) : visit_node(nodes_[value - kNode], pairs, f);
    });
  }

 private:
  static constexpr std::uint32_t kNode = 1U << 31;  ///< values from here on are not items but nodes

  struct Pair {
    std::string_view key;
    std::string_view value;

    auto operator<=>(const Pair&) const = default;
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
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
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

  /// A key that all items of a node demand, with all the values that any of them takes.
  struct Shared {
    std::string key;
    std::unordered_set<std::string, TextHash, std::equal_to<>> values;
  };
  struct Node {
    std::vector<Shared> shared;
    std::vector<std::uint32_t> looked_through;  ///< items that nothing below tells from each other; or
    /// pair → items that demand it, each under one of its keys only. Where those are many, they stand in nodes of
    /// their own, by another key.
    ByPair<std::vector<std::uint32_t>> filed;
    std::string only_key;  ///< of all that is filed: other pairs need not be looked up. Empty: several keys
  };

  struct Item {
    std::uint32_t number = 0;
    std::vector<Demand> demands;  ///< ascending

    /// One with this key, or null.
    const Demand* find(std::string_view key) const;
  };
  using Items = std::vector<const Item*>;

  /// From the first list of items to a node below it.
  struct Way {
    std::vector<std::string_view> used;             ///< keys
    std::map<std::string_view, std::size_t> asked;  ///< shared keys that were asked for → with how many values
    bool several = false;                           ///< an item on it stands under several pairs: once is enough
  };

  template <class Pairs, class F>
  bool visit_node(const Node& node, const Pairs& pairs, const F& f) const {
    return std::ranges::all_of(node.shared, [&](const Shared& shared) { return has_any(pairs, shared); }) &&
           (std::ranges::any_of(node.looked_through, f) || visit_filed(node, pairs, f));
  }

  /// From the side that has less of the values.
  template <class Pairs>
  static bool has_any(const Pairs& pairs, const Shared& shared) {
    const auto takes = [&](std::string_view value) { return shared.values.contains(value); };
    if constexpr (requires { pairs.count(); }) {
      return pairs.count(shared.key) <= shared.values.size()
                 ? pairs.any_value(shared.key, takes)
                 : std::ranges::any_of(shared.values,
                                       [&](const std::string& value) { return pairs.has(shared.key, value); });
    } else {
      return pairs([&](std::string_view key, std::string_view value) { return key == shared.key && takes(value); });
    }
  }

  template <class Pairs, class F>
  bool visit_filed(const Node& node, const Pairs& pairs, const F& f) const {
    if constexpr (requires { pairs.count(); }) {
      if (node.filed.size() < pairs.count()) {
        return std::ranges::any_of(node.filed, [&](const auto& entry) {
          return pairs.has(entry.first.key, entry.first.value) && visit(entry.second, pairs, f);
        });
      }
    }
    return pairs([&](std::string_view key, std::string_view value) {
      if (!node.only_key.empty() && key != node.only_key) {
        return false;
      }
      const auto found = node.filed.find(Pair{key, value});
      return found != node.filed.end() && visit(found->second, pairs, f);
    });
  }

  static bool may_be_filed(const Demand& demand, const Way& way);
  static std::vector<Shared> shared_by(const Items& items, Way& way);
  std::vector<std::uint32_t> add(const Items& items, const Way& way);
  std::uint32_t file(const Items& items, Way way);
  void look_through(const Items& items, Way way, std::vector<std::uint32_t>& out);

  std::vector<Node> nodes_;
};

}  // namespace msp::policy
