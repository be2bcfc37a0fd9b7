// SPDX-License-Identifier: Apache-2.0
#include "cli/host_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace msp::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

json::Value tree(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed.ok()) << parsed.error().text();
  return parsed.ok() ? std::move(*parsed) : json::Value();
}

Result<GuardInput> read(std::string_view machine, std::string_view listener = R"("address":"127.0.0.1")") {
  return read_guard(tree(R"({"listeners":[{)" + std::string(listener) + "}]}"),
                    tree(R"({"value":[{"name":"a",)" + std::string(machine) + "}]}"));
}

TEST(HostGuard, TiesAddressesToInterfaces) {
  const auto input =
      read(R"("sourceAddresses":["10.0.0.4","10.0.0.5"],"interfaces":["vnet0"],"macAddresses":["000D3A123456"])",
           R"("address":"10.0.0.1")");
  ASSERT_TRUE(input.ok());
  const std::string rules = nftables_rules(*input, false);
  EXPECT_THAT(rules, HasSubstr(R"(elements = { "vnet0" . 10.0.0.4, "vnet0" . 10.0.0.5 })"));
  EXPECT_THAT(rules, HasSubstr(R"(elements = { "vnet0" . 00:0d:3a:12:34:56 })"));
  EXPECT_THAT(rules, HasSubstr("elements = { 10.0.0.1, 168.63.129.16, 169.254.169.254 }"));
  EXPECT_THAT(rules, HasSubstr("table bridge openmsp_guard\ndelete table bridge openmsp_guard\n"));
  EXPECT_THAT(nftables_rules(*input, true), HasSubstr("table ip openmsp_guard {"));
}

TEST(HostGuard, NamesWhoCannotBeGuarded) {
  const auto input = read(R"("sourceAddresses":["10.0.0.4"],"interfaces":[],"macAddresses":[])");
  ASSERT_TRUE(input.ok());
  const std::string rules = nftables_rules(*input, false);
  EXPECT_THAT(rules, HasSubstr("# not guarded, no interface is known: a\n"));
  EXPECT_THAT(rules, Not(HasSubstr("10.0.0.4"))) << "else it would be dropped wherever it is";
}

TEST(HostGuard, AnAddressThatAnUnguardedMachineHasTooIsNobodysAlone) {
  const auto input = read_guard(
      tree(R"({"listeners":[{"address":"127.0.0.1"}]})"),
      tree(R"({"value":[{"name":"a","sourceAddresses":["10.0.0.4","10.0.0.5"],"interfaces":["vnet0"],"macAddresses":[]},
               {"name":"b","sourceAddresses":["10.0.0.4"],"interfaces":[],"macAddresses":[]}]})"));
  ASSERT_TRUE(input.ok());
  const std::string rules = nftables_rules(*input, false);
  EXPECT_THAT(rules, HasSubstr(R"(elements = { "vnet0" . 10.0.0.4, "vnet0" . 10.0.0.5 })")) << "a says only what it is";
  EXPECT_THAT(rules, HasSubstr("elements = { 10.0.0.5 }")) << "b is not dropped for having a's address";
}

TEST(HostGuard, NothingThatIsNoNameOrAddressBecomesARule) {
  EXPECT_FALSE(read(R"("sourceAddresses":["10.0.0.4 } accept"],"interfaces":["vnet0"])").ok());
  EXPECT_FALSE(read(R"("sourceAddresses":["10.0.0.4"],"interfaces":["vnet0\" accept"])").ok());
  EXPECT_FALSE(read(R"("sourceAddresses":[4],"interfaces":["vnet0"])").ok());
  EXPECT_FALSE(read(R"("sourceAddresses":[])", R"("address":"x")").ok());
  const auto odd =
      read(R"("name":"b\n} accept","sourceAddresses":[],"interfaces":["vnet0"],"macAddresses":["0} accept"])");
  ASSERT_TRUE(odd.ok());
  EXPECT_THAT(nftables_rules(*odd, false), Not(HasSubstr("0} accept")));
  EXPECT_THAT(nftables_rules(*odd, false), Not(HasSubstr("\n} accept"))) << "a name stays in its comment";
  EXPECT_THAT(nftables_rules(*odd, false), HasSubstr("# a hardware address of its model is none, and not in here: b"));
}

}  // namespace
}  // namespace msp::cli
