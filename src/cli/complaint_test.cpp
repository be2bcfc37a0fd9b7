// SPDX-License-Identifier: Apache-2.0
#include "cli/complaint.h"

#include <gtest/gtest.h>

namespace msp::cli {
namespace {

TEST(Complaint, OneLineOrMany) {
  EXPECT_EQ(complaint("mspctl vm", "no", ""), "mspctl vm: no\n");
  EXPECT_EQ(complaint("mspctl vm", "2 problems\n  /a: is missing\n/b: is wrong", "mend them"),
            "mspctl vm: 2 problems\n  /a: is missing\n  /b: is wrong\n  -> mend them\n");
}

TEST(Complaint, NobodyElseBeginsALineOfOurs) {
  EXPECT_EQ(complaint("mspctl", "a\nmspctl: b\x1b[2J", "c\n  -> d"),
            "mspctl: a\n  mspctl: b\\x1b[2J\n  -> c\\n  -> d\n");
}

}  // namespace
}  // namespace msp::cli
