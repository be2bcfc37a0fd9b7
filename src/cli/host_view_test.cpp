// SPDX-License-Identifier: Apache-2.0
#include "cli/host_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace msp::cli {
namespace {

using testing::HasSubstr;

TEST(HostView, OneIsCountedAsOne) {
  const auto list = json::parse(
      R"({"value":[],"unknownCallers":[{"address":"10.0.0.9","network":null,"requests":1,"time":"T1"},
          {"address":"10.0.0.8","network":"br0","requests":2,"time":"T2"}]})");
  ASSERT_TRUE(list.ok());
  EXPECT_THAT(machines_view(*list), HasSubstr("10.0.0.9: 1 request, the last at T1\n"));
  EXPECT_THAT(machines_view(*list), HasSubstr("10.0.0.8 at br0: 2 requests, the last at T2\n"));
}

}  // namespace
}  // namespace msp::cli
