// SPDX-License-Identifier: Apache-2.0
#include "cli/host_audit_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace msp::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string view(std::string_view rows, std::string_view others = "0", std::string_view names = "true") {
  const std::string text = R"({"since":"S","requests":5,"namesCallers":)" + std::string(names) + R"(,"others":)" +
                           std::string(others) + R"(,"value":[)" + std::string(rows) + "]}";
  const auto parsed = json::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed.ok() ? audit_view(*parsed) : std::string();
}

constexpr std::string_view kRefused =
    R"({"service":"imds","outcome":"refused","by":"host","reason":"unsigned","remedy":"do this","count":2,
        "first":"F","last":"L","lastRequest":{"id":"1f","method":"GET","path":"/a\u001b"},"caller":null})";
constexpr std::string_view kWouldBe =
    R"({"service":"imds","outcome":"would be refused","by":"rules","reason":"no_rule","remedy":"do that","count":1,
        "first":"F","last":"L","lastRequest":{"id":"2f","method":"GET","path":"/b"},
        "caller":{"uid":1000,"user":"app","executable":"/bin/app","process":"","unit":"app.service"}})";

TEST(HostAuditView, EachLineSaysWhetherItWasRefused) {
  const std::string text = view(std::string(kRefused) + "," + std::string(kWouldBe));
  EXPECT_THAT(text, HasSubstr("\nimds unsigned: was refused by the host, 2 times\n  caller  not named\n  first   F\n"
                              "  last    L GET /a\\x1b, request 1f\n  -> do this\n"));
  EXPECT_THAT(text, HasSubstr("\nimds no_rule: would be refused by the rules, 1 time\n"
                              "  caller  uid=1000 user=app exe=/bin/app unit=app.service\n"));
  EXPECT_THAT(text, HasSubstr("  -> do that\n"));
}

TEST(HostAuditView, ARemedyIsSaidOnce) {
  const std::string text = view(std::string(kRefused) + "," + std::string(kRefused));
  EXPECT_EQ(text.find("-> do this"), text.rfind("-> do this"));
}

TEST(HostAuditView, NothingAndTooMuch) {
  EXPECT_THAT(audit_view(*json::parse(R"({"since":null,"value":[]})")), HasSubstr("nothing was refused"));
  EXPECT_THAT(view(""), HasSubstr("enforcing would have refused none"));
  EXPECT_THAT(view(kRefused, "7"), HasSubstr("7 more requests"));
  EXPECT_THAT(view(kRefused, "0", "false"), HasSubstr("verification.callerHeader"));
  EXPECT_THAT(view(kWouldBe, "0", "true"), Not(HasSubstr("verification.callerHeader")));
}

}  // namespace
}  // namespace msp::cli
