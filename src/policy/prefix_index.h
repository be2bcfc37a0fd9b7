// SPDX-License-Identifier: Apache-2.0
// Finds all rule paths that are a prefix of a request's path without looking at rules that cannot match.
// Built once while a rule set is compiled, immutable afterwards; any thread.
// Nothing can fail: cost is one binary search over the distinct paths plus the length of the matching chain.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace msp::policy {

/// Distinct paths in byte order, each linked to the longest other path that is a prefix of it. Both matchers use it:
/// the legacy one with folded text, the canonical one with "/" behind each segment, so that bytes align with segments.
class PrefixIndex {
 public:
  PrefixIndex() = default;
  /// values under one path keep their order.
  explicit PrefixIndex(const std::map<std::string, std::vector<std::uint32_t>, std::less<>>& paths);

  /// Calls visit(span of values) for each path that is a prefix of `text`, longest path first, until it returns true.
  /// Returns whether it did.
  template <class Visit>
  bool any_prefix(std::string_view text, Visit visit) const {
    std::uint32_t at = last_not_above(text);
    while (at != kNone) {
      const Entry& entry = x_entries[at];
      if (text.starts_with(key(entry)) && visit(std::span(x_values).subspan(entry.first_value, entry.value_count))) {
        return true;
      }
      at = entry.parent;
    }
    return false;
  }

  std::size_t size() const { return x_entries.size(); }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Entry {
    std::uint32_t key_offset = 0;
    std::uint32_t key_size = 0;
    std::uint32_t parent = kNone;
    std::uint32_t first_value = 0;
    std::uint32_t value_count = 0;
  };

  std::string_view key(const Entry& entry) const {
    return std::string_view(x_keys).substr(entry.key_offset, entry.key_size);
  }
  /// Index of the greatest path that is not above `text` in byte order; kNone if all are.
  std::uint32_t last_not_above(std::string_view text) const;

  std::string x_keys;
  std::vector<Entry> x_entries;
  std::vector<std::uint32_t> x_values;
};

}  // namespace msp::policy
