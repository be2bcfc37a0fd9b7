// SPDX-License-Identifier: Apache-2.0
#include "protocol/wait.h"

#include <gtest/gtest.h>

namespace msp::protocol {
namespace {

TEST(Wait, IsReadAsItIsWritten) {
  const Wait wait{.tag = "0a1b.C_d-9", .seconds = 30};
  EXPECT_EQ(format_wait(wait), "0a1b.C_d-9 30");
  EXPECT_EQ(parse_wait(format_wait(wait)), wait);
  EXPECT_EQ(parse_wait("- 0"), (Wait{.tag = "-", .seconds = 0}));
}

TEST(Wait, AnythingElseIsNotThere) {
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("a "), std::string(" 3"), std::string("a  3"), std::string("a 3 "),
        std::string("a -3"), std::string("a +3"), std::string("a 3.5"), std::string("a 12345"), std::string("a,b 3"),
        std::string("a\t3"), std::string(65, 'a') + " 3", std::string("a 3s")}) {
    EXPECT_FALSE(parse_wait(text)) << text;
  }
}

}  // namespace
}  // namespace msp::protocol
