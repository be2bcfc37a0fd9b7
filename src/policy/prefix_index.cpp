// SPDX-License-Identifier: Apache-2.0
#include "policy/prefix_index.h"

#include <algorithm>

namespace msp::policy {
PrefixIndex::PrefixIndex(const std::map<std::string, std::vector<std::uint32_t>, std::less<>>& paths) {
  x_entries.reserve(paths.size());
  for (const auto& [path, values] : paths) {
    Entry entry;
    entry.key_offset = static_cast<std::uint32_t>(x_keys.size());
    entry.key_size = static_cast<std::uint32_t>(path.size());
    entry.first_value = static_cast<std::uint32_t>(x_values.size());
    entry.value_count = static_cast<std::uint32_t>(values.size());
    x_keys += path;
    x_values.insert(x_values.end(), values.begin(), values.end());
    // In byte order every prefix of this path comes before it, and the predecessor's chain holds all of them.
    std::uint32_t candidate = x_entries.empty() ? kNone : static_cast<std::uint32_t>(x_entries.size() - 1);
    while (candidate != kNone && !path.starts_with(key(x_entries[candidate]))) {
      candidate = x_entries[candidate].parent;
    }
    entry.parent = candidate;
    x_entries.push_back(entry);
  }
}

std::uint32_t PrefixIndex::last_not_above(std::string_view text) const {
  const auto above =
      std::partition_point(x_entries.begin(), x_entries.end(), [&](const Entry& entry) { return key(entry) <= text; });
  return above == x_entries.begin() ? kNone : static_cast<std::uint32_t>(above - x_entries.begin() - 1);
}

}  // namespace msp::policy
