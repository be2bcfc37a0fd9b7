// SPDX-License-Identifier: Apache-2.0
// What of an item could not be read, and which findings about the rest would therefore be false: an author sees all
// mistakes at once, and none that only follow from another one.
// Owned by one run of lint; any thread.
// Nothing fails. Where it is not sure that a finding would stand once the text is mended, it is left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "authoring/finding.h"

namespace msp::authoring {

class Damage {
 public:
  /// `item`: where the item stands. `places`: pointers to what is missing or of a wrong type.
  Damage(std::string item, std::vector<std::string> places) : item_(std::move(item)), places_(std::move(places)) {}

  /// Nothing of the item could be read.
  bool total() const;
  /// What rules do beside each other cannot be told.
  bool in_rules() const { return touches("/rules"); }
  /// Whether a finding holds all the same.
  bool passes(Severity severity, std::string_view code, std::string_view pointer) const;

 private:
  /// There is damage at this place of the item, or below it.
  bool touches(std::string_view place) const;
  /// … at it, below it, or in something that it is part of.
  bool related(std::string_view place) const;
  /// A section is not there as a whole, or one of its elements has no name that can be read.
  bool lost_section() const;
  bool lost_names(std::string_view section) const;
  bool refusal_stands(std::string_view place) const;

  std::string item_;
  std::vector<std::string> places_;
};

}  // namespace msp::authoring
