// SPDX-License-Identifier: Apache-2.0
#include "gateway/near_name.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "base/ascii.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kShortestPart = 3;  // that tells what was meant
constexpr std::size_t kShortName = 4;

/// True if at most `most` letters are to insert, take away, change or exchange with their neighbour.
bool within_edits(std::string_view a, std::string_view b, std::size_t most) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> edits(b.size() + 1);
  std::iota(edits.begin(), edits.end(), 0U);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(edits);
    edits[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      edits[j] = std::min({last[j] + 1, edits[j - 1] + 1, last[j - 1] + (same ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        edits[j] = std::min(edits[j], before[j - 2] + 1);
      }
    }
    if (std::ranges::min(edits) > most && std::ranges::min(last) > most) {
      return false;  // no further row gets below both
    }
  }
  return edits[b.size()] <= most;
}

/// `shorter` in lower case. Of the longer one no more is looked at than the shorter has: it may be of any length.
bool begins_or_ends_as(std::string_view longer, std::string_view shorter) {
  return shorter.size() >= kShortestPart && longer.size() > shorter.size() &&
         (ascii_lower(longer.substr(0, shorter.size())) == shorter ||
          ascii_lower(longer.substr(longer.size() - shorter.size())) == shorter);
}

}  // namespace

bool is_mistyped(std::string_view name, std::string_view known) {
  const std::size_t most = known.size() <= kShortName ? 1 : 2;
  if (name.size() > known.size() + most || known.size() > name.size() + most) {
    return false;
  }
  const std::string given = ascii_lower(name);
  const std::string meant = ascii_lower(known);
  return given != meant && within_edits(given, meant, most);
}

bool is_near_name(std::string_view name, std::string_view known) {
  if (is_mistyped(name, known) || begins_or_ends_as(name, ascii_lower(known))) {
    return true;
  }
  return name.size() < known.size() && begins_or_ends_as(known, ascii_lower(name));
}

}  // namespace msp::gateway
