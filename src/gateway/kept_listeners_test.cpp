// SPDX-License-Identifier: Apache-2.0
// What a service manager keeps and passes back is seen in tests/netns; here, what is bound and under which name.
#include "gateway/kept_listeners.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

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

// In a child: the descriptors from 3 on are then its own to replace.
int kept_of_two_alike() {
  const Ipv4Endpoint place = free_place();
  KeptListeners before;
  const auto made = before.open({{.at = place}});
  const auto stored = before.hand_over();
  const int copy = ::fcntl(stored.at(0).fd.get(), F_DUPFD, 10);
  ::dup2(copy, 3);
  ::dup2(copy, 4);
  ::closefrom(5);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", "2", 1);
  ::setenv("LISTEN_FDNAMES", (stored[0].name + ":" + stored[0].name).c_str(), 1);
  KeptListeners kept(ServiceManager::from_environment());
  const auto sockets = kept.open({{.at = place}});
  if (!sockets || (*sockets)[0].get() != 3) {
    return 1;
  }
  // The one that serves, and its duplicate that is held: it has the number of what was let go.
  return ::fcntl(4, F_GETFD) != -1 && ::fcntl(5, F_GETFD) == -1 ? 0 : 2;
}

TEST(KeptListeners, OfTwoUnderOneNameTheSecondIsClosed) {
  EXPECT_EXIT(::_exit(kept_of_two_alike()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace msp::gateway
