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

TEST(Connections, FarBeyondTheBoundNothingIsSaid) {
  test::RawOrigin origin(always(kOk));
  Settings settings;
  settings.max_connections = 1;
  TestPlane plane(origin.endpoint(), settings);
  std::array<Fd, 3> ends;
  // In one turn of the loop, so that none has ended before the last one comes.
  plane.on_loop([&] {
    for (Fd& end : ends) {
      std::array<int, 2> pair{};
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()), 0);
      end.reset(pair[0]);
      plane.plane->adopt(Fd(pair[1]));
    }
  });
  const auto hears = [](const Fd& end) {
    EXPECT_TRUE(test::wait_for(end.get(), POLLIN, 5000));
    std::array<char, 4096> some{};
    return std::string(some.data(), static_cast<std::size_t>(std::max<ssize_t>(::read(end.get(), &some, 4096), 0)));
  };
  EXPECT_THAT(hears(ends[1]), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(hears(ends[2]), "");
  EXPECT_FALSE(test::wait_for(ends[0].get(), POLLIN, 0));
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
