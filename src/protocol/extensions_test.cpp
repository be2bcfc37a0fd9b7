// SPDX-License-Identifier: Apache-2.0
#include "protocol/extensions.h"

#include <gtest/gtest.h>

namespace msp::protocol {
namespace {

std::string written(const Nonce& nonce) {
  char text[kMostNonceSize];
  return std::string(format_nonce(nonce, text));
}

TEST(Asks, AreReadAsTheyAreWritten) {
  for (const Asks& asks : {Asks{}, Asks{.epoch = 0, .caller = false}, Asks{.epoch = ~std::uint64_t{0}, .caller = true},
                           Asks{.epoch = std::nullopt, .caller = true}}) {
    EXPECT_EQ(parse_asks(format_asks(asks)), asks) << format_asks(asks);
  }
  EXPECT_EQ(format_asks({}), "");
  EXPECT_EQ(format_asks({.epoch = 0xAB, .caller = true}), "nonce:00000000000000ab caller");
}

TEST(Asks, WordsThatAreNotKnownMeanNothing) {
  EXPECT_EQ(parse_asks("later caller nonce:00000000000000ab,x other"), (Asks{.epoch = std::nullopt, .caller = true}));
  for (const char* text : {"", " ", "nonce:", "nonce:ab", "nonce:00000000000000AB", "nonce:00000000000000abc",
                           "callers", "nonce:-0000000000000ab", "caller,"}) {
    EXPECT_EQ(parse_asks(text), Asks{}) << text;
  }
}

TEST(Nonce, IsReadAsItIsWritten) {
  for (const Nonce& nonce : {Nonce{.epoch = 0, .stream = 0, .counter = 1},
                             Nonce{.epoch = ~std::uint64_t{0}, .stream = 0xAB, .counter = ~std::uint64_t{0}}}) {
    EXPECT_EQ(parse_nonce(written(nonce)), nonce) << written(nonce);
  }
  EXPECT_EQ(written({.epoch = 1, .stream = 2, .counter = 30}), "0000000000000001.0000000000000002.30");
}

TEST(Nonce, HasOneForm) {
  const std::string front = "0000000000000001.0000000000000002.";
  ASSERT_TRUE(parse_nonce(front + "1"));
  for (const std::string& text :
       {std::string(), front, front + "0", front + "01", front + "+1", front + "-1", front + "1 ", front + " 1",
        front + "1.", front + "18446744073709551616", std::string("0000000000000001.000000000000000A.1"),
        std::string("0000000000000001 0000000000000002.1"), std::string("000000000000001.0000000000000002.1"),
        std::string("0x00000000000001.0000000000000002.1")}) {
    EXPECT_FALSE(parse_nonce(text)) << text;
  }
}

TEST(Caller, IsReadAsItIsWritten) {
  const CallerView view{.uid = 1000,
                        .user = "svc app",
                        .executable = "/opt/b\xC3\xBCro/a b=c",
                        .process = "%x\n",
                        .unit = "a@1.service",
                        .denied = "identity_mismatch"};
  std::string text = "what was there before";
  format_caller(view, text);
  EXPECT_EQ(text,
            "uid=1000 user=svc%20app exe=/opt/b%c3%bcro/a%20b%3dc process=%25x%0a unit=a@1.service "
            "denied=identity_mismatch");
  const auto read = parse_caller(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->uid, 1000U);
  EXPECT_EQ(read->user, view.user);
  EXPECT_EQ(read->executable, view.executable);
  EXPECT_EQ(read->process, view.process);
  EXPECT_EQ(read->unit, view.unit);
  EXPECT_EQ(read->denied, view.denied);
}

TEST(Caller, WhatIsNotKnownOrTooLongIsLeftOut) {
  const std::string longest(kMostCallerText, 'a');
  std::string text;
  format_caller({.uid = 0, .user = {}, .executable = longest, .process = longest + "a", .unit = {}, .denied = {}},
                text);
  EXPECT_EQ(text, "uid=0 exe=" + longest);
  EXPECT_TRUE(parse_caller(text));
  EXPECT_FALSE(parse_caller("exe=" + longest + "a"));
  EXPECT_EQ(parse_caller(""), Caller{});
}

TEST(Caller, HasOneForm) {
  EXPECT_TRUE(parse_caller("user=a later=b"));
  for (const char* text :
       {"user", "user=", "user=a user=a", "uid=1 uid=1", "uid=", "uid=-1", "uid=01", "uid=4294967296", "uid=a",
        "user=a  uid=1", " user=a", "user=%", "user=%4", "user=%4G", "user=%4A", "user=a\"b", "user=\xC3\xBC"}) {
    EXPECT_FALSE(parse_caller(text)) << text;
  }
}

}  // namespace
}  // namespace msp::protocol
