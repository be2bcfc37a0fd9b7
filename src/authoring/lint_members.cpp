// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint_members.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

namespace msp::authoring {
namespace {

char folded(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Edit distance with letters compared without case.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t same = diagonal + (folded(a[i]) == folded(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({same, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> known) {
  constexpr std::size_t kLongest = 40;
  const auto found = std::ranges::find_if(known, [&](std::string_view other) {
    return name.size() <= kLongest && distance(name, other) <= 1 + other.size() / 5;
  });
  return found == known.end() ? std::string_view() : *found;
}

}  // namespace

void tell_unknown(std::string_view pointer, std::string_view name, std::span<const std::string_view> known,
                  Members members, Findings& findings) {
  if (name == kOurs) {
    findings.error("misplaced-openmsp", pointer, "nothing is defined for an \"openmsp\" here",
                   "it belongs into a privilege, an identity or a role assignment");
    return;
  }
  const std::string_view meant = nearest(name, known);
  if (meant.empty() && members == Members::kOpen) {
    return;
  }
  findings.error("unknown-member", pointer, fmt::format("no agent knows the member \"{}\", it has no effect", name),
                 meant.empty() ? "remove it" : fmt::format("did you mean \"{}\"?", meant));
}

}  // namespace msp::authoring
