// SPDX-License-Identifier: Apache-2.0
#include "base/net.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace msp {
namespace {

using testing::HasSubstr;

std::string fault_of_binding(const Ipv4Endpoint& at) {
  const auto socket = make_tcp_socket();
  const auto bound = bind_and_listen(*socket, at, 1);
  return bound.ok() ? "bound" : bound.error().text();
}

TEST(Net, AnAddressThatIsTakenSaysWhatToDo) {
  const auto first = make_tcp_socket();
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(bind_and_listen(*first, {{127, 0, 0, 1}, 0}, 1).ok());
  const auto at = local_endpoint(first->get());
  ASSERT_TRUE(at.ok());
  const std::string fault = fault_of_binding(*at);
  EXPECT_THAT(fault, HasSubstr("cannot bind 127.0.0.1:"));
  EXPECT_THAT(fault, HasSubstr("Address already in use"));
  EXPECT_THAT(fault, HasSubstr("ss -ltnp"));
}

TEST(Net, AForeignAddressSaysWhatToDo) {
  EXPECT_THAT(fault_of_binding({{192, 0, 2, 1}, 8080}), HasSubstr("ip address"));
}

TEST(Net, EachRefusalOfAnAddressHasAHint) {
  EXPECT_THAT(std::string(bind_hint(EPERM)), HasSubstr("openmsp.listen"));
  EXPECT_THAT(std::string(bind_hint(EACCES)), HasSubstr("run as root"));
  EXPECT_EQ(bind_hint(EINVAL), "");
}

TEST(Net, ASocketIsBoundToAnInterfaceOrToNone) {
  const auto socket = make_tcp_socket();
  EXPECT_EQ(*bound_interface(socket->get()), "");
  ASSERT_TRUE(bind_to_interface(*socket, "lo").ok());
  EXPECT_EQ(*bound_interface(socket->get()), "lo");
}

TEST(Net, EachRefusalOfAnInterfaceHasAHint) {
  const auto socket = make_tcp_socket();
  const auto bound = bind_to_interface(*socket, "nowhere0");
  ASSERT_FALSE(bound.ok());
  EXPECT_THAT(bound.error().text(), HasSubstr("`ip link`"));
  EXPECT_THAT(std::string(interface_hint(EPERM)), HasSubstr("CAP_NET_RAW"));
  EXPECT_EQ(interface_hint(EINVAL), "");
}

}  // namespace
}  // namespace msp
