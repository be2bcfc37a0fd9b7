// SPDX-License-Identifier: Apache-2.0
// What a service manager keeps and passes back is seen in tests/netns; here, what is bound and under which name.
#include "gateway/kept_listeners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace msp::gateway {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

Ipv4Endpoint free_place() {
  const auto socket = make_tcp_socket();
  EXPECT_TRUE(bind_and_listen(*socket, {{127, 0, 0, 1}, 0}, 1).ok());
  return *local_endpoint(socket->get());
}

TEST(KeptListeners, AnInterfaceIsBoundToAndPartOfTheName) {
  const Ipv4Endpoint anywhere = free_place();
  const Ipv4Endpoint bound{{127, 0, 0, 2}, anywhere.port};
  KeptListeners kept;
  const auto sockets = kept.open({{.at = anywhere}, {.at = bound, .interface = "lo"}});
  ASSERT_TRUE(sockets.ok()) << sockets.error().text();
  EXPECT_EQ(*bound_interface((*sockets)[0].get()), "");
  EXPECT_EQ(*bound_interface((*sockets)[1].get()), "lo");
  const auto stored = kept.hand_over();
  ASSERT_EQ(stored.size(), 2U);
  EXPECT_THAT(stored[0].name, EndsWith("-127.0.0.1-" + std::to_string(anywhere.port)));
  EXPECT_THAT(stored[1].name, EndsWith("-127.0.0.2-" + std::to_string(anywhere.port) + "-lo"));
}

TEST(KeptListeners, AnInterfaceThatIsNotThereSaysWhatToDo) {
  KeptListeners kept;
  const auto sockets = kept.open({{.at = free_place(), .interface = "nowhere0"}});
  ASSERT_FALSE(sockets.ok());
  EXPECT_THAT(sockets.error().text(), HasSubstr("cannot listen at the interface nowhere0"));
  EXPECT_THAT(sockets.error().text(), HasSubstr("ip link"));
}

}  // namespace
}  // namespace msp::gateway
