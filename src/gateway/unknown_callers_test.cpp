// SPDX-License-Identifier: Apache-2.0
#include "gateway/unknown_callers.h"

#include <gtest/gtest.h>

namespace msp::gateway {
namespace {

Ipv4Address address(std::size_t i) {
  return {10, 0, static_cast<std::uint8_t>(i / 256), static_cast<std::uint8_t>(i % 256)};
}

TEST(UnknownCallers, CountsAndForgets) {
  UnknownCallers callers;
  EXPECT_TRUE(callers.asked(address(1), "", 10));
  EXPECT_FALSE(callers.asked(address(1), "", 20));
  ASSERT_EQ(callers.all().size(), 1U);
  EXPECT_EQ(callers.all()[0].requests, 2U);
  EXPECT_EQ(callers.all()[0].last_ns, 20);
  callers.forget(address(1), "");
  EXPECT_TRUE(callers.all().empty());
}

TEST(UnknownCallers, WhoAsksByAnotherNetworkIsAnother) {
  UnknownCallers callers;
  for (const char* network : {"br-a", "br-b", ""}) {
    EXPECT_TRUE(callers.asked(address(1), network, 10)) << network;
  }
  EXPECT_FALSE(callers.asked(address(1), "br-b", 20));
  callers.forget(address(1), "br-b");
  ASSERT_EQ(callers.all().size(), 2U);
  EXPECT_EQ(callers.all()[0].network, "br-a");
  EXPECT_EQ(callers.all()[1].network, "");
  callers.forget(address(1), "");
  EXPECT_TRUE(callers.all().empty()) << "a machine of no network is heard in each";
}

TEST(UnknownCallers, AFloodOfAddressesIsBoundedAndTheLatestStay) {
  UnknownCallers callers;
  for (std::size_t i = 0; i < 10 * UnknownCallers::kMost; ++i) {
    callers.asked(address(i), "", static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(callers.all().size(), UnknownCallers::kMost);
  EXPECT_FALSE(callers.asked(address(10 * UnknownCallers::kMost - 1), "", 10'000));
  EXPECT_TRUE(callers.asked(address(0), "", 10'000));
}

}  // namespace
}  // namespace msp::gateway
