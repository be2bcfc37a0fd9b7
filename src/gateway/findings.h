// SPDX-License-Identifier: Apache-2.0
// What is found in one resource: a few are said, all are counted, so that a document with a million finds makes no
// million texts.
// Owned by who looks, for as long as it looks; any thread.
// Never fails.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/json_fields.h"

namespace msp::gateway {

class Findings {
 public:
  static constexpr std::size_t kMost = 20;

  /// `base`: where the resource stands in the document.
  Findings(const std::string& base, json::Problems& problems) : base_(base), problems_(problems) {}

  /// Nothing more is said: no text need be made for it.
  bool full() const { return count_ >= kMost; }
  /// `at`: pointer below the base.
  void add(std::string_view at, std::size_t offset, std::string_view message) {
    if (++count_ <= kMost) {
      problems_.add(fmt::format("{}{}", base_, at), offset, message);
    }
  }
  /// Once all has been looked at.
  void finish(std::size_t offset) {
    if (count_ > kMost) {
      problems_.add(base_, offset, fmt::format("and {} more", count_ - kMost));
    }
  }

 private:
  const std::string& base_;
  json::Problems& problems_;
  std::size_t count_ = 0;
};

}  // namespace msp::gateway
