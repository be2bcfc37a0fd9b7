// SPDX-License-Identifier: Apache-2.0
#include "protocol/error_form.h"

#include <gtest/gtest.h>

namespace msp::protocol {
namespace {

TEST(ErrorForm, CodeAndRequestIdAreRead) {
  const ErrorForm form =
      read_error_form(R"({"error":"unknown_caller","error_description":"x","request_id":"0a-1B_2"})");
  EXPECT_EQ(form.code, "unknown_caller");
  EXPECT_EQ(form.request_id, "0a-1B_2");
  EXPECT_EQ(read_error_form(R"({"error":"unsigned"})").request_id, "");
}

TEST(ErrorForm, WhatIsOfAnotherFormSaysNothing) {
  for (const std::string& body :
       {std::string(), std::string("<html>"), std::string("[]"), std::string(R"({"error":7,"request_id":{}})"),
        std::string(R"({"error":"Not Ours","request_id":"a b"})"), std::string(R"({"error":"\u001b[2J"})"),
        R"({"error":")" + std::string(41, 'a') + R"(","request_id":")" + std::string(65, 'a') + "\"}",
        R"({"error":"unsigned","pad":")" + std::string(kMostErrorBody, ' ') + "\"}"}) {
    const ErrorForm form = read_error_form(body);
    EXPECT_EQ(form.code, "") << body;
    EXPECT_EQ(form.request_id, "") << body;
  }
}

TEST(ErrorForm, SomeCodesAreOfTheKeyAlone) {
  for (const char* code : {"bad_signature", "unknown_key", "key_ended", "foreign_key"}) {
    EXPECT_TRUE(is_refusal_of_the_key(code)) << code;
  }
  for (const char* code : {"", "stale_date", "rate_limited", "unsigned", "unknown_caller", "bad_signature_"}) {
    EXPECT_FALSE(is_refusal_of_the_key(code)) << code;
  }
}

}  // namespace
}  // namespace msp::protocol
