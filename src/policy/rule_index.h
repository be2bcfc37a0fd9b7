// SPDX-License-Identifier: Apache-2.0
// Finds the rules that a request may match, by path and then by query, without looking at those that it cannot.
// Built once while a rule set is compiled, immutable afterwards; any thread.
// Nothing can fail. Whatever it leaves out does not match; what it finds is still to be asked for the whole of its
// query.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/prefix_index.h"

namespace msp::policy {

/// A key that a query must have, with one of these values.
struct RequiredQuery {
  std::string key;
  std::vector<std::string> values;
};

/// A method that a rule names is demanded like a pair of the query; no request has a pair with this key.
inline constexpr std::string_view kMethodKey = "\x01method";

class RuleIndex {
 public:
  /// Rules of one path that demand something of the query: up to here they are looked through, beyond they are found by
  /// one of the pairs that they demand.
  static constexpr std::size_t kFew = 4;
  /// All that the rule of this number demands.
  using Demands = std::function<std::vector<RequiredQuery>(std::uint32_t)>;

  RuleIndex() = default;
  /// Values of `paths` are numbers of rules, each below 2^31.
  RuleIndex(PrefixIndex::Paths paths, const Demands& demands);

  /// Calls visit(rule), for some rules more than once, until it returns true; returns whether it did.
  /// `any_pair(f)` calls f(key, value) for each pair of the request's query, folded, until it returns true.
  template <class AnyPair, class Visit>
  bool any(std::string_view path, AnyPair any_pair, Visit visit) const {
    return paths_.any_prefix(path, [&](std::span<const std::uint32_t> values) {
      return std::ranges::any_of(values, [&](std::uint32_t value) {
        if (value < kTable) {
          return visit(value);
        }
        return any_pair([&](std::string_view key, std::string_view text) {
          return std::ranges::any_of(find(tables_[value - kTable], key, text), visit);
        });
      });
    });
  }

 private:
  static constexpr std::uint32_t kTable = 1U << 31;  ///< values from here on are not rules but tables

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  template <class T>
  using ByText = std::unordered_map<std::string, T, Hash, std::equal_to<>>;
  /// Key, value → the rules that demand this pair; each stands under one of its keys only.
  using Table = ByText<ByText<std::vector<std::uint32_t>>>;

  static Table make_table(std::span<const std::uint32_t> rules, const Demands& demands);
  static std::span<const std::uint32_t> find(const Table& table, std::string_view key, std::string_view value);

  PrefixIndex paths_;
  std::vector<Table> tables_;
};

}  // namespace msp::policy
