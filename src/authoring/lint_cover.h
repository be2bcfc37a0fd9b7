// SPDX-License-Identifier: Apache-2.0
// Which privileges ask no more of a request than another one, so that they match wherever it does, in both readings.
// One thread. Rules and index must outlive it. Files of ten thousand privileges are usual: they are looked
// up by path and query parameter, never compared with all others.
// A privilege that no request can meet in one of the readings covers nothing and is covered by nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "authoring/rule_forms.h"
#include "authoring/rule_index.h"

namespace msp::authoring {

class Cover {
 public:
  Cover(const WholeRules& rules, const RuleIndex& index) : rules_(rules) { file(index); }

  const PrivilegeForms& forms(std::uint32_t privilege) const { return forms_[privilege]; }
  /// Path, query and method.
  bool asks_no_more(std::uint32_t broad, std::uint32_t narrow) const;
  /// Path and query alone.
  bool matches_along(std::uint32_t broad, std::uint32_t narrow) const;

  using Predicate = std::function<bool(std::uint32_t)>;
  /// Where no parameter tells privileges from each other (one path spelled in many ways), all would be compared with
  /// all: past so many comparisons in all nothing more is found.
  static constexpr std::size_t kMostCompared = 4'000'000;
  /// The first that fits of those that might match wherever `narrow` does, itself among them: those of its path first,
  /// each path's in the order of the rules. kNone: none fits.
  std::uint32_t first(std::uint32_t narrow, const Predicate& fits) const;

 private:
  void file(const RuleIndex& index);
  const Indexes& filed_under(const std::string& key) const;
  std::uint32_t first_of_path(std::string_view path, const PrivilegeForms& narrow, const Predicate& fits) const;

  WholeRules rules_;  ///< views
  std::vector<PrivilegeForms> forms_;
  std::unordered_map<std::string, Indexes> filed_;  ///< by path and one of its query parameters
  mutable std::size_t left_ = kMostCompared;
};

}  // namespace msp::authoring
