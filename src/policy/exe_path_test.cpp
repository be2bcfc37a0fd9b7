// SPDX-License-Identifier: Apache-2.0
#include "policy/exe_path.h"

#include <gtest/gtest.h>

namespace msp::policy {
namespace {

TEST(ExePath, NeutralSpellingsDoNotCount) {
  EXPECT_TRUE(same_components("/usr/bin/curl", "/usr/bin/curl"));
  EXPECT_TRUE(same_components("//usr///bin/curl/", "/usr/bin/curl"));
  EXPECT_TRUE(same_components("/./usr/./bin/curl/.", "/usr/bin/curl"));
  EXPECT_TRUE(same_components("/", "//"));
  EXPECT_TRUE(same_components("", ""));
}

TEST(ExePath, EverythingElseCounts) {
  EXPECT_FALSE(same_components("/usr/bin/curl", "/usr/bin/curl2"));
  EXPECT_FALSE(same_components("/usr/bin", "/usr/bin/curl"));
  EXPECT_FALSE(same_components("/usr/bin/Curl", "/usr/bin/curl"));
  EXPECT_FALSE(same_components("/usr/lib/../bin/curl", "/usr/bin/curl"));
  EXPECT_FALSE(same_components("usr/bin/curl", "/usr/bin/curl"));
  EXPECT_FALSE(same_components("./curl", "curl"));
  EXPECT_TRUE(same_components("./curl", ".//curl"));
  EXPECT_FALSE(same_components("/", ""));
  EXPECT_FALSE(same_components("", "/usr/bin/curl"));
}

}  // namespace
}  // namespace msp::policy
