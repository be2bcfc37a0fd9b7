// SPDX-License-Identifier: Apache-2.0
// RapidCheck with its GoogleTest glue, which needs gtest.h first. Heavy: include it in one test file a folder.
// Tests only.
// A failing property prints the seed; RC_PARAMS="seed=…" repeats it.
#pragma once

#include <gtest/gtest.h>
// Behind gtest.h, on purpose.
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace msp::test {

/// Whether `property(salt)` holds, and `met()`: that its cases met what they are for. A few random cases may miss what
/// is rare, so there are more rounds until it is met; after twenty, what makes the cases is at fault. RapidCheck begins
/// each round with the same seed, so a property adds `salt`, another in each round, to what it makes its cases from.
template <class Met, class Property>
testing::AssertionResult check_until(const char* name, Met met, Property property) {
  constexpr std::uint32_t kRounds = 20;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    if (!rc::check(name, [&] { property(round * 0x9e37'79b9U); })) {
      return testing::AssertionFailure() << name << " is not so";
    }
    if (met()) {
      return testing::AssertionSuccess();
    }
  }
  return testing::AssertionFailure() << name << " was not asked: its cases never met what they are for";
}

}  // namespace msp::test
