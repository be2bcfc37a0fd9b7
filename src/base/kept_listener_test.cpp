// SPDX-License-Identifier: Apache-2.0
#include "base/kept_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace msp {
namespace {

using testing::HasSubstr;

struct Listener {
  Fd fd;
  Ipv4Endpoint at;
};

Listener listener(const std::string& interface) {
  auto socket = make_tcp_socket();
  EXPECT_TRUE(socket.ok());
  EXPECT_TRUE(interface.empty() || bind_to_interface(*socket, interface).ok());
  EXPECT_TRUE(bind_and_listen(*socket, {{127, 0, 0, 1}, 0}, 1).ok());
  const auto at = local_endpoint(socket->get());
  EXPECT_TRUE(at.ok());
  return {.fd = std::move(*socket), .at = *at};
}

std::string fault(const Listener& one, std::string_view interface) {
  const auto cookie = own_netns_cookie();
  EXPECT_TRUE(cookie.ok());
  const auto checked = check_listener(one.fd.get(), one.at, *cookie, interface);
  return checked.ok() ? "" : checked.error().message;
}

TEST(KeptListener, IsAtTheInterfaceThatIsMeant) {
  const Listener everywhere = listener("");
  EXPECT_EQ(fault(everywhere, ""), "");
  EXPECT_EQ(fault(everywhere, "lo"), "it listens at every interface");
  const Listener bound = listener("lo");
  EXPECT_EQ(fault(bound, "lo"), "");
  EXPECT_EQ(fault(bound, "l"), "it listens at the interface lo");
  EXPECT_EQ(fault(bound, ""), "it listens at the interface lo");
}

TEST(KeptListener, IsAtTheAddressAndInTheNamespaceThatAreMeant) {
  const Listener one = listener("");
  const auto cookie = own_netns_cookie();
  ASSERT_TRUE(cookie.ok());
  const auto elsewhere = check_listener(one.fd.get(), {{127, 0, 0, 2}, one.at.port}, *cookie);
  ASSERT_FALSE(elsewhere.ok());
  EXPECT_THAT(elsewhere.error().message, HasSubstr("it listens on 127.0.0.1:"));
  const auto foreign = check_listener(one.fd.get(), one.at, *cookie + 1);
  ASSERT_FALSE(foreign.ok());
  EXPECT_THAT(foreign.error().message, HasSubstr("another network namespace"));
}

}  // namespace
}  // namespace msp
