// SPDX-License-Identifier: Apache-2.0
#include "base/configured_program.h"

#include <gtest/gtest.h>

namespace msp {
namespace {

TEST(ConfiguredProgram, IsToldByWhatOnlyOneHas) {
  EXPECT_EQ(not_configuration_of("msp-host", R"({"logFolder":"/l","latchKeyFolder":"/k"})"),
            "this is a configuration of msp-agent: name that of msp-host with --config");
  EXPECT_EQ(not_configuration_of("msp-agent", R"({"stateDirectory":"/s","listeners":[]})"),
            "this is a configuration of msp-host: name that of msp-agent with --config");
}

TEST(ConfiguredProgram, ItsOwnAndWhatCannotBeToldAreNotTheOthers) {
  for (const char* text :
       {R"({"listeners":[]})", "{}", "[]", "7", "{", "", R"({"listeners":[],"latchKeyFolder":""})"}) {
    EXPECT_EQ(not_configuration_of("msp-host", text), "") << text;
  }
}

}  // namespace
}  // namespace msp
