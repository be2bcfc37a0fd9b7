// SPDX-License-Identifier: Apache-2.0
#include "gateway/near_name.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/ascii.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kShortestPart = 3;  // that tells what was meant
constexpr std::size_t kShortName = 4;

/// Letters to insert, take away, change or exchange with their neighbour.
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> edits(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        edits[i][j] = i + j;
        continue;
      }
      const bool same = a[i - 1] == b[j - 1];
      edits[i][j] = std::min({edits[i - 1][j] + 1, edits[i][j - 1] + 1, edits[i - 1][j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        edits[i][j] = std::min(edits[i][j], edits[i - 2][j - 2] + 1);
      }
    }
  }
  return edits[a.size()][b.size()];
}

}  // namespace

bool is_near_name(std::string_view name, std::string_view known) {
  const std::string given = ascii_lower(name);
  const std::string meant = ascii_lower(known);
  if (given == meant) {
    return false;
  }
  const auto& [shorter, longer] =
      std::minmax(given, meant, [](const auto& a, const auto& b) { return a.size() < b.size(); });
  if (shorter.size() >= kShortestPart && (longer.starts_with(shorter) || longer.ends_with(shorter))) {
    return true;
  }
  const std::size_t most = meant.size() <= kShortName ? 1 : 2;
  return longer.size() - shorter.size() <= most && edits_between(given, meant) <= most;
}

}  // namespace msp::gateway
