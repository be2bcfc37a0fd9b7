// SPDX-License-Identifier: Apache-2.0
// What a tool found in the text of rules: a stable code, how bad it is, where it stands, and what to do.
// Owned by one run of a tool; any thread.
// Nothing fails. Beyond a bound findings are counted, not kept, so that a broken generator cannot flood its reader.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "authoring/rule_text.h"

namespace msp::authoring {

/// kNote: worth knowing, never a reason to refuse rules. kWarning: probably not what the author wants. kError:
/// certainly not.
enum class Severity : std::uint8_t { kNote, kWarning, kError };
inline constexpr std::size_t kSeverityCount = 3;
/// "note", "warning", "error".
std::string_view to_string(Severity severity);

struct Finding {
  Severity severity = Severity::kNote;
  std::string_view code;  ///< a literal, documented in docs/mspctl-policy.md
  std::string pointer;    ///< JSON pointer of the place
  json::Place place;
  std::string text;    ///< what is wrong, one sentence
  std::string remedy;  ///< what to do
};

class Findings {
 public:
  static constexpr std::size_t kMost = 500;

  explicit Findings(const RuleText& text) : text_(text) {}

  void error(std::string_view code, std::string_view pointer, std::string text, std::string remedy) {
    add(Severity::kError, code, pointer, std::move(text), std::move(remedy));
  }
  void warning(std::string_view code, std::string_view pointer, std::string text, std::string remedy) {
    add(Severity::kWarning, code, pointer, std::move(text), std::move(remedy));
  }
  void note(std::string_view code, std::string_view pointer, std::string text, std::string remedy) {
    add(Severity::kNote, code, pointer, std::move(text), std::move(remedy));
  }
  /// From here on only what passes is added; an empty function: all.
  using Filter = std::function<bool(Severity severity, std::string_view code, std::string_view pointer)>;
  void only(Filter filter) { filter_ = std::move(filter); }
  void add(Severity severity, std::string_view code, std::string_view pointer, std::string text, std::string remedy);

  /// Of all, also of those that are not kept.
  std::size_t count(Severity severity) const { return counts_[static_cast<std::size_t>(severity)]; }
  bool has(std::string_view code) const;
  /// The worst first, then in the order of the text.
  std::vector<Finding> sorted() const;

 private:
  const RuleText& text_;
  Filter filter_;
  std::vector<Finding> kept_;
  std::array<std::size_t, kSeverityCount> counts_{};
};

}  // namespace msp::authoring
