// SPDX-License-Identifier: Apache-2.0
#include "base/external_program.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace msp {
namespace {

TEST(ExternalProgram, WhatItWritesAndHowItEnds) {
  const auto said = read_program({"/bin/sh", "-c", "echo one; echo two; exit 3"});
  ASSERT_TRUE(said);
  EXPECT_EQ(said->out, "one\ntwo\n");
  EXPECT_EQ(said->exit_code, 3);
  EXPECT_EQ(*run_program({"/bin/sh", "-c", "exit 4"}, Output::kDropped), 4);
}

TEST(ExternalProgram, OneThatIsNotThereOrDiesIsAnError) {
  EXPECT_EQ(read_program({"/nonexistent"}).error().code, ENOENT);
  EXPECT_FALSE(read_program({"/bin/sh", "-c", "kill -9 $$"}));
}

TEST(ExternalProgram, OneThatWritesWithoutEndIsLeft) {
  EXPECT_FALSE(read_program({"/bin/sh", "-c", "while echo y; do :; done 2>/dev/null"}, 10'000));
}

}  // namespace
}  // namespace msp
