// SPDX-License-Identifier: Apache-2.0
// How client connections come and go: bounds, listeners, descriptors, the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <tuple>

#include "base/log.h"
#include "proxy/test_plane.h"

namespace msp::proxy {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Connections, RootIsBoundedByTheWholeOnly) {
  test::RawOrigin origin(always(kOk));
  Settings settings;
  settings.max_connections_per_user = 1;
  settings.max_connections = 3;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  plane.on_loop([&] { plane.identities.answer = identity::fake_identity(0, origin.endpoint()); });
  std::vector<std::unique_ptr<test::RawClient>> clients;
  for (const std::string_view status : {"200", "200", "200", "503"}) {
    clients.push_back(std::make_unique<test::RawClient>(plane.at));
    clients.back()->send(get("/"));
    EXPECT_THAT(clients.back()->read_until("\r\n\r\n"), StartsWith("HTTP/1.1 " + std::string(status)));
  }
}

/// On the loop. The clients' ends.
std::vector<Fd> adopt(TestPlane& plane, std::size_t count, const identity::ConnectionIdentity& caller) {
  std::vector<Fd> ends;
  plane.identities.answer = caller;
  for (std::size_t i = 0; i < count; ++i) {
    std::array<int, 2> pair{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()), 0);
    ends.emplace_back(pair[0]);
    plane.plane->adopt(Fd(pair[1]));
  }
  return ends;
}

/// In one turn of the loop, so that none has ended before the last one comes.
std::vector<Fd> adopted(TestPlane& plane, std::size_t count, const identity::ConnectionIdentity& caller) {
  std::vector<Fd> ends;
  plane.on_loop([&] { ends = adopt(plane, count, caller); });
  return ends;
}

std::string hears(const Fd& end) {
  EXPECT_TRUE(test::wait_for(end.get(), POLLIN, 5000));
  std::array<char, 4096> some{};
  return std::string(some.data(), static_cast<std::size_t>(std::max<ssize_t>(::read(end.get(), &some, 4096), 0)));
}

std::string asks(const Fd& end) {
  const std::string request = get("/");
  (void)::send(end.get(), request.data(), request.size(), MSG_NOSIGNAL);  // it may be closed already
  return hears(end);
}

bool is_held(const Fd& end) { return !test::wait_for(end.get(), POLLIN, 0); }

TEST(Connections, WhatOthersHoldLeavesRootItsPart) {
  test::RawOrigin origin(always(kOk));
  Settings settings;
  settings.max_connections_per_user = 2;
  settings.max_connections = 8;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  std::vector<std::vector<Fd>> held;
  for (const std::uint32_t uid : {1000U, 1001U}) {
    held.push_back(adopted(plane, 3, identity::fake_identity(uid, origin.endpoint())));
    EXPECT_THAT(hears(held.back()[2]), StartsWith("HTTP/1.1 429 "));
  }
  held.push_back(adopted(plane, 2, identity::unknown_identity(identity::Unknown::kNoRecord)));
  EXPECT_EQ(plane.counters.overloaded_ms, 0U);
  held.push_back(adopted(plane, 1, identity::fake_identity(1002, origin.endpoint())));
  EXPECT_THAT(hears(held.back()[0]), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("overloaded")));
  EXPECT_NE(plane.counters.overloaded_ms, 0U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(is_held(held[i][0]) && is_held(held[i][1])) << i;
  }
  const std::vector<Fd> roots = adopted(plane, 3, identity::fake_identity(0, origin.endpoint()));
  EXPECT_THAT(asks(roots[0]), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(asks(roots[1]), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(hears(roots[2]), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("overloaded")));
}

TEST(Connections, WhatRootHoldsIsNoneOfAnyUsers) {
  test::RawOrigin origin(always(kOk));
  Settings settings;
  settings.max_connections_per_user = 2;
  settings.max_connections = 8;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  const std::vector<Fd> roots = adopted(plane, 5, identity::fake_identity(0, origin.endpoint()));
  // The kernel's threads have a record of uid 0, and yet nobody stands behind them.
  identity::ConnectionIdentity thread = identity::unknown_identity(identity::Unknown::kKernelThread);
  thread.uid = 0;
  const std::vector<Fd> threads = adopted(plane, 3, thread);
  EXPECT_TRUE(is_held(threads[0]) && is_held(threads[1]));
  EXPECT_THAT(hears(threads[2]), StartsWith("HTTP/1.1 429 "));
}

TEST(Connections, ThoseNobodyKnowsAreOneUserAndReachTheLocalEndpoints) {
  test::RawOrigin origin(always(kOk));
  Settings settings;
  settings.max_connections_per_user = 2;
  settings.max_connections = 8;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  std::vector<Fd> nobodys = adopted(plane, 3, identity::unknown_identity(identity::Unknown::kNoRecord));
  EXPECT_THAT(hears(nobodys[2]), StartsWith("HTTP/1.1 429 "));
  const auto provision = [&] {
    test::RawClient client(plane.at);
    client.send("GET /provision HTTP/1.1\r\nHost: " + to_string(plane.at) + "\r\nConnection: close\r\n\r\n");
    return client.read_all();
  };
  EXPECT_THAT(provision(), StartsWith("HTTP/1.1 429 "));
  nobodys.pop_back();
  nobodys.pop_back();
  EXPECT_TRUE(plane.becomes([&] { return plane.counters.connections_open == 1; }));
  EXPECT_THAT(provision(), StartsWith("HTTP/1.1 200 "));
}

TEST(Connections, FewPlacesAreStillSharedWithRoot) {
  test::RawOrigin origin(always(kOk));
  for (const auto [in_all, of_others] : {std::pair(1U, 1U), {2U, 1U}, {3U, 2U}, {4U, 3U}, {8U, 6U}}) {
    Settings settings;
    settings.max_connections = in_all;
    TestPlane plane(origin.endpoint(), settings);
    plane.open_gate();
    const std::vector<Fd> ends = adopted(plane, of_others + 1, identity::fake_identity(1000, origin.endpoint()));
    EXPECT_THAT(hears(ends[of_others]), StartsWith("HTTP/1.1 503 ")) << in_all;
    EXPECT_TRUE(is_held(ends[of_others - 1])) << in_all;
    const std::vector<Fd> roots = adopted(plane, 1, identity::fake_identity(0, origin.endpoint()));
    EXPECT_EQ(asks(roots[0]).starts_with("HTTP/1.1 200 "), in_all > 1) << in_all;
  }
}

TEST(Connections, ThoseThatAreBeingRefusedTakeNobodysPlace) {
  test::RawOrigin origin(always(kOk));
  Settings settings;
  settings.max_connections_per_user = 1;
  settings.max_connections = 4;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  std::vector<Fd> flood;
  std::vector<Fd> other;
  std::vector<Fd> root;
  plane.on_loop([&] {
    flood = adopt(plane, 6, identity::fake_identity(1000, origin.endpoint()));  // the last one is not even told
    other = adopt(plane, 1, identity::fake_identity(1001, origin.endpoint()));
    root = adopt(plane, 1, identity::fake_identity(0, origin.endpoint()));
  });
  EXPECT_EQ(hears(flood[5]), "");
  EXPECT_THAT(asks(other[0]), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(asks(root[0]), StartsWith("HTTP/1.1 200 "));
}

TEST(Connections, FarBeyondTheBoundNothingIsSaid) {
  test::RawOrigin origin(always(kOk));
  Settings settings;
  settings.max_connections = 1;
  TestPlane plane(origin.endpoint(), settings);
  const std::vector<Fd> ends = adopted(plane, 3, identity::fake_identity(1000, origin.endpoint()));
  EXPECT_THAT(hears(ends[1]), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(hears(ends[2]), "");
  EXPECT_TRUE(is_held(ends[0]));
  EXPECT_EQ(plane.counters.connections_refused, 2U);
}

/// Takes the next descriptors of this process away while it lives.
class NoDescriptorLeft {
 public:
  NoDescriptorLeft() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const int next = ::dup(STDERR_FILENO);
    ::close(next);
    const rlimit now{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &now), 0);
  }
  ~NoDescriptorLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptorLeft(const NoDescriptorLeft&) = delete;
  NoDescriptorLeft& operator=(const NoDescriptorLeft&) = delete;

 private:
  rlimit before_{};
};

TEST(Connections, WhereNoDescriptorIsLeftIdleOnesAreGivenUp) {
  std::atomic<int> ended = 0;
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    always(kOk)(self, socket);
    ++ended;
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient first(plane.at);
  first.send(get("/"));
  EXPECT_THAT(first.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  // The first call of a virtual function is looked at through a pipe by a sanitizer: not where none can be made.
  log::info("soon no descriptor will be left, on purpose");
  std::optional<test::RawClient> second;
  {
    std::optional<NoDescriptorLeft> full;
    plane.on_loop([&] {
      second.emplace(plane.at);  // the kernel connects it; the loop accepts it later
      full.emplace();
    });
    EXPECT_TRUE(plane.becomes([&] { return ended == 1; }));
  }
  second->send(get("/"));
  EXPECT_THAT(second->read_until("hello"), StartsWith("HTTP/1.1 200 "));
}

TEST(Connections, AListenerThatSomebodyShutDownIsReportedOnce) {
  test::RawOrigin origin(always(kOk));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  int lost = 0;
  plane.on_loop([&] {
    auto socket = make_tcp_socket();
    EXPECT_TRUE(bind_and_listen(*socket, {{127, 0, 0, 1}, 0}, 4).ok());
    const int number = socket->get();
    EXPECT_TRUE(plane.plane->listen(std::move(*socket), [&] { ++lost; }).ok());
    ::shutdown(number, SHUT_RDWR);
  });
  EXPECT_TRUE(plane.becomes([&] { return lost > 0; }));
  test::RawClient client(plane.at);
  client.send(get("/"));
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 ")) << "the other one goes on";
  EXPECT_TRUE(plane.becomes([&] { return lost == 1; }));
}

TEST(Connections, ADrainEndsWhatIsIdleAndPromisesNobodyMore) {
  std::atomic<bool> asked = false;
  std::atomic<bool> go = false;
  std::atomic<int> ended = 0;
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    for (std::string request = self.read_request(socket); !request.empty(); request = self.read_request(socket)) {
      if (request.contains("/slow")) {
        asked = true;
        go.wait(false);
      }
      test::RawOrigin::say(socket, kOk);
    }
    ++ended;
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient busy(plane.at);
  busy.send(get("/slow"));
  EXPECT_TRUE(plane.becomes([&] { return asked.load(); }));
  test::RawClient idle(plane.at);
  idle.send(get("/quick"));
  EXPECT_THAT(idle.read_until("hello"), Not(HasSubstr("connection: close")));
  plane.on_loop([&] { plane.plane->drain(); });
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_TRUE(idle.closed()) << "towards the client";
  EXPECT_TRUE(plane.becomes([&] { return ended == 1; })) << "and towards the host";
  go = true;
  go.notify_all();
  EXPECT_THAT(busy.read_until("hello"), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("connection: close\r\n")));
  EXPECT_EQ(busy.read_all(), "");
  EXPECT_TRUE(busy.closed());
  EXPECT_TRUE(plane.becomes([&] { return plane.plane->drained(); }));
}

TEST(Connections, AClientThatDoesNotReadIsGivenUp) {
  constexpr std::size_t kLarge = std::size_t{64} << 20;  // more than the buffers of both ends take
  test::RawOrigin origin(
      always("HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(kLarge) + "\r\n\r\n" + std::string(kLarge, 'x')));
  Settings settings;
  settings.body_timeout_ms = 200;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/"));
  EXPECT_TRUE(plane.becomes([&] { return plane.counters.requests == 1 && plane.counters.connections_open == 0; }));
  ASSERT_EQ(plane.lines().size(), 1U);
  EXPECT_THAT(plane.lines()[0], HasSubstr("client_gone"));
}

// Closing with unread bytes is a reset, and that may overtake the answer.
TEST(Connections, ARefusalIsFollowedByAnEndNotByAReset) {
  test::RawOrigin origin(always(kOk));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  for (const auto& [target, framing, code] :
       {std::tuple("/announced", "Content-Length: 200000\r\n\r\n", "body_too_large"),
        std::tuple("/chunks", "Transfer-Encoding: chunked\r\n\r\n30d40\r\n", "body_too_large"),
        std::tuple("/screened/../b", "Content-Length: 100000\r\n\r\n", "path_traversal"),
        std::tuple("/nobody", "Content-Length: 100000\r\n\r\n", "no_identity")}) {
    if (std::string_view(code) == "no_identity") {
      plane.on_loop([&] { plane.identities.answer = identity::unknown_identity(identity::Unknown::kNoRecord); });
    }
    test::RawClient client(plane.at);
    client.send("POST " + std::string(target) + " HTTP/1.1\r\nHost: metadata.test\r\n" + framing +
                std::string(200'000, 'x'));
    EXPECT_THAT(client.read_all(), AllOf(StartsWith("HTTP/1.1 4"), HasSubstr(code))) << target;
    EXPECT_TRUE(client.closed());
    EXPECT_FALSE(client.reset()) << target;
  }
}

}  // namespace
}  // namespace msp::proxy
