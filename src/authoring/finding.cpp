// SPDX-License-Identifier: Apache-2.0
#include "authoring/finding.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace msp::authoring {

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "error";
}

void Findings::add(Severity severity, std::string_view code, std::string_view pointer, std::string text,
                   std::string remedy) {
  if (filter_ && !filter_(severity, code, pointer)) {
    return;
  }
  // Each severity has its own room: many notes must not hide an error.
  if (++counts_[static_cast<std::size_t>(severity)] > kMost) {
    return;
  }
  kept_.push_back({.severity = severity,
                   .code = code,
                   .pointer = std::string(pointer),
                   .place = text_.place(pointer),
                   .text = std::move(text),
                   .remedy = std::move(remedy)});
}

bool Findings::has(std::string_view code) const {
  return std::ranges::any_of(kept_, [&](const Finding& finding) { return finding.code == code; });
}

std::vector<Finding> Findings::sorted() const {
  std::vector<Finding> out = kept_;
  std::ranges::sort(out, [](const Finding& a, const Finding& b) {
    return std::tie(b.severity, a.place.line, a.place.column, a.code, a.text) <
           std::tie(a.severity, b.place.line, b.place.column, b.code, b.text);
  });
  return out;
}

}  // namespace msp::authoring
