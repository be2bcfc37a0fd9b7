// SPDX-License-Identifier: Apache-2.0
// How long a session waits for who does not read, does not connect and does not answer: every wait has an end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "proxy/test_plane.h"
#include "tests/support/slow_reader.h"

namespace msp::proxy {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::uint32_t kShortMs = 200;
constexpr std::size_t kMoreThanFits = std::size_t{16} << 20;  // than the buffers of both ends take

/// Everything but what moves bytes has all the time.
Settings short_of_patience() {
  Settings settings;
  settings.body_timeout_ms = kShortMs;
  return settings;
}

Settings a_second_of_patience() {
  Settings settings;
  settings.upstream_timeout_ms = 1'000;
  settings.body_timeout_ms = 1'000;
  settings.max_signed_body_bytes = 1U << 20;
  return settings;
}

bool all_are_gone(TestPlane& plane, std::size_t requests = 1) {
  return plane.becomes([&] { return plane.counters.requests >= requests && plane.counters.connections_open == 0; });
}

/// A way to the plane on which a few kilobytes are more than fits, and a client that reads nothing.
class NarrowWay {
 public:
  explicit NarrowWay(TestPlane& plane) {
    auto listener = make_tcp_socket();
    EXPECT_TRUE(bind_and_listen(*listener, {{127, 0, 0, 1}, 0}, 4).ok());
    test::set_buffer(*listener, SO_SNDBUF, 1);  // what it accepts inherits it
    const Ipv4Endpoint at = *local_endpoint(listener->get());
    plane.on_loop([&] { EXPECT_TRUE(plane.plane->listen(std::move(*listener)).ok()); });
    socket_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    test::set_buffer(socket_, SO_RCVBUF, 1);
    EXPECT_TRUE(begin_connect(socket_, at).ok());
  }
  void send(std::string_view bytes) const { test::RawOrigin::say(socket_.get(), bytes); }

 private:
  Fd socket_;
};

/// Sends while others look: as much as is taken, until the end of its life.
class Sender {
 public:
  Sender(test::RawClient& client, std::string bytes)
      : client_(client), thread_([&client, bytes = std::move(bytes)] { client.send(bytes); }) {}
  ~Sender() {
    client_.close_write();
    thread_.join();
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

 private:
  test::RawClient& client_;
  std::thread thread_;
};

/// Takes heads, and nothing else any more.
void take_the_head(test::RawOrigin& origin, int socket) {
  if (read_head(origin, socket)) {
    origin.wait_or_stop(-1);
  }
}

TEST(Patience, AClientThatDoesNotReadAChunkedAnswerIsGivenUp) {
  test::RawOrigin origin(
      always("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1000000\r\n" + std::string(kMoreThanFits, 'x')));
  TestPlane plane(origin.endpoint(), short_of_patience());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/"));
  EXPECT_TRUE(all_are_gone(plane));
  ASSERT_EQ(plane.lines().size(), 1U);
  EXPECT_THAT(plane.lines()[0], AllOf(HasSubstr("\"status\":200"), HasSubstr("client_gone")));
}

// The head alone, since the body is not there yet; and with an end right behind it.
TEST(Patience, AClientThatDoesNotReadTheHeadOfAnAnswerIsGivenUp) {
  const std::string large = "x-large: " + std::string(50'000, 'x') + "\r\n";
  for (const std::string& answer : {"HTTP/1.1 200 OK\r\n" + large + "content-length: 1\r\n\r\n",
                                    "HTTP/1.1 200 OK\r\n" + large + "content-length: 0\r\n\r\n"}) {
    test::RawOrigin origin(always(answer));
    TestPlane plane(origin.endpoint(), short_of_patience());
    plane.open_gate();
    const NarrowWay client(plane);
    client.send(get("/"));
    EXPECT_TRUE(all_are_gone(plane));
    ASSERT_EQ(plane.lines().size(), 1U);
    EXPECT_THAT(plane.lines()[0], HasSubstr("client_gone"));
  }
}

TEST(Patience, RefusalsThatNobodyReadsEnd) {
  constexpr std::size_t kMany = 400;
  test::RawOrigin origin(always(kOk));
  Settings settings = short_of_patience();
  settings.not_ready_hold_ms = 1;
  TestPlane plane(origin.endpoint(), settings);
  const NarrowWay client(plane);
  std::string requests;
  for (std::size_t i = 0; i < kMany; ++i) {
    requests += "GET / HTTP/1.1\r\nHost: metadata.test\r\n\r\n";
  }
  client.send(requests);
  EXPECT_TRUE(all_are_gone(plane));
  const std::vector<std::string> lines = plane.lines();
  ASSERT_GT(lines.size(), 1U);
  ASSERT_LT(lines.size(), kMany) << "all of them fit";
  EXPECT_THAT(lines.front(), AllOf(HasSubstr("\"decision\":\"deny\""), Not(HasSubstr("\"status\":0"))));
  EXPECT_THAT(lines.back(), AllOf(HasSubstr("\"decision\":\"deny\""), HasSubstr("\"status\":0")))
      << "it was told nothing";
}

Ipv4Endpoint listen_with_a_queue(TestPlane& plane) {
  Fd listener = test::listener_with_a_queue();
  const Ipv4Endpoint at = *local_endpoint(listener.get());
  plane.on_loop([&] { EXPECT_TRUE(plane.plane->listen(std::move(listener)).ok()); });
  return at;
}

std::string often(std::string_view request, std::size_t times) {
  std::string out;
  while (times-- > 0) {
    out += request;
  }
  return out;
}

// Its pieces are framed anew, one by one.
TEST(Patience, AChunkedAnswerThatIsTakenSlowlyArrives) {
  const std::string body(600'000, 'x');
  test::RawOrigin origin(
      always("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n927c0\r\n" + body + "\r\n0\r\n\r\n"));
  TestPlane plane(origin.endpoint(), a_second_of_patience());
  plane.open_gate();
  EXPECT_EQ(test::taken_slowly(listen_with_a_queue(plane), get("/"), "\r\n0\r\n\r\n", 1), 1U);
}

void all_arrive(bool direct, const std::string& request, std::string_view status) {
  constexpr std::size_t kMany = 1'500;
  const Ipv4Endpoint nobody_listens = {{127, 0, 0, 2}, 1};
  TestPlane plane(nobody_listens, a_second_of_patience());
  plane.identities.answer.direct = direct;
  plane.open_gate();
  EXPECT_EQ(test::taken_slowly(listen_with_a_queue(plane), often(request, kMany), status, kMany), kMany) << request;
}

TEST(Patience, RefusalsAndOwnAnswersThatAreTakenSlowlyAllArrive) {
  // HTTP/1.0 names no host, which is the listener's own here.
  const std::string own = "GET /provision HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  const std::jthread refusals(all_arrive, false, get("/"), "HTTP/1.1 410 ");
  const std::jthread answers(all_arrive, true, own, "HTTP/1.0 200 ");
}

/// Takes a body of `size` bytes on the wire, the first `slowly` of them at 640 KB/s at most, and answers.
test::RawOrigin::Script takes_slowly(std::size_t slowly, std::size_t size) {
  return [slowly, size](test::RawOrigin& origin, int socket) {
    const int buffer = 32 << 10;
    ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    std::size_t taken = read_head(origin, socket) ? 0 : size;
    for (std::array<char, 32'000> piece{}; taken < size;) {
      ::usleep(taken < slowly ? 50'000 : 0);
      const ssize_t n = origin.wait_or_stop(socket) ? ::recv(socket, piece.data(), piece.size(), 0) : 0;
      if (n <= 0) {
        return;
      }
      taken += static_cast<std::size_t>(n);
    }
    test::RawOrigin::say(socket, kOk);
  };
}

std::string upload_of(std::string_view request_line, std::string_view framing, const std::string& body) {
  return std::string(request_line) + " HTTP/1.1\r\nHost: metadata.test\r\n" + std::string(framing) + "\r\n\r\n" + body;
}

/// Takes `body` bytes behind the head of `request`, the first `slowly` of them at 640 KB/s at most, and answers.
void is_waited_for(const std::string& request, std::size_t body, std::size_t slowly) {
  test::RawOrigin origin(takes_slowly(slowly, body));
  TestPlane plane(origin.endpoint(), a_second_of_patience());
  plane.open_gate();
  test::RawClient client(plane.at);
  const Sender sender(client, request);
  EXPECT_THAT(client.read_until("hello", 10'000), StartsWith("HTTP/1.1 200 ")) << request.substr(0, 100);
}

// Its time for an answer begins when it has the request, not when our kernel has it.
TEST(Patience, AHostThatTakesTheEndOfAnUploadSlowlyIsWaitedFor) {
  const std::string body(std::size_t{1} << 20, 'x');
  std::vector<std::jthread> at_once;
  for (const std::string_view line : {"PUT /vmAgentLog", "POST /signed"}) {
    at_once.emplace_back(is_waited_for, upload_of(line, "Content-Length: 1048576", body), body.size(), body.size());
  }
}

// More than our kernel keeps, and slower than it tells of room. Pieces are framed anew.
TEST(Patience, AHostThatTakesAnUploadSlowlyGetsTheWholeOfIt) {
  constexpr std::size_t kSlowly = std::size_t{2} << 20;
  const std::string body(kMoreThanFits, 'x');
  const std::string chunks = "1000000\r\n" + body + "\r\n0\r\n\r\n";
  std::vector<std::jthread> at_once;
  for (const auto& [framing, sent] :
       {std::pair("Content-Length: 16777216", body), std::pair("Transfer-Encoding: chunked", chunks)}) {
    at_once.emplace_back(is_waited_for, upload_of("PUT /vmAgentLog", framing, sent), body.size(), kSlowly);
  }
}

TEST(Patience, AHostThatDoesNotReadAnUploadIsNotWaitedFor) {
  const std::string piece(std::size_t{1} << 16, 'x');
  std::string chunks;
  while (chunks.size() < kMoreThanFits) {
    chunks += "10000\r\n" + piece + "\r\n";
  }
  for (const auto& [framing, body] : {std::pair("Content-Length: 16777216", std::string(kMoreThanFits, 'x')),
                                      std::pair("Transfer-Encoding: chunked", chunks)}) {
    test::RawOrigin origin(take_the_head);
    Settings settings = short_of_patience();
    settings.upstream_timeout_ms = kShortMs;
    TestPlane plane(origin.endpoint(), settings);
    plane.open_gate();
    test::RawClient client(plane.at);
    const Sender sender(
        client, std::string("PUT /vmAgentLog HTTP/1.1\r\nHost: metadata.test\r\n") + framing + "\r\n\r\n" + body);
    EXPECT_TRUE(plane.becomes([&] { return !plane.audit.lines.empty(); })) << framing;
    EXPECT_THAT(plane.lines(), testing::ElementsAre(AllOf(HasSubstr("\"status\":504"), HasSubstr("upstream_timeout"))))
        << framing;
  }
}

// It has the request, and may have done what that says: the record names the key that it left with.
TEST(Patience, AHostThatTakesARequestAndIsSilentIsNotWaitedFor) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    while (!self.read_request(socket).empty()) {
    }
  });
  TestPlane plane(origin.endpoint(), a_second_of_patience());
  plane.open_gate();
  for (const std::string line : {"PUT /vmAgentLog", "POST /signed"}) {
    test::RawClient client(plane.at);
    client.send(line + " HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_THAT(client.read_until("}"), AllOf(StartsWith("HTTP/1.1 504 "), HasSubstr("upstream_timeout"))) << line;
    EXPECT_THAT(origin.log(), testing::EndsWith("hello"));
  }
  const std::vector<std::string> lines = plane.lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], Not(HasSubstr("key_guid")));
  EXPECT_THAT(lines[1], HasSubstr(std::string("\"key_guid\":\"") + kTestKey));
}

// The time is for an answer: what only says that there will be one does not begin it anew.
TEST(Patience, InterimAnswersGiveTheHostNoMoreTime) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (!self.read_request(socket).empty()) {
      for (int i = 0; i < 6; ++i) {
        test::RawOrigin::say(socket, "HTTP/1.1 102 Processing\r\n\r\n");
        ::usleep(150'000);
      }
      test::RawOrigin::say(socket, kOk);
    }
  });
  Settings settings;
  settings.upstream_timeout_ms = 500;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  for (const std::string& request :
       {get("/"), std::string("POST / HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 5\r\n\r\nhello")}) {
    test::RawClient client(plane.at);
    client.send(request);
    EXPECT_THAT(client.read_until("}"), AllOf(StartsWith("HTTP/1.1 504 "), HasSubstr("upstream_timeout"))) << request;
  }
}

/// Who connects to it is not heard: nobody accepts, and there is no room for one more.
class DeafHost {
 public:
  DeafHost() {
    auto socket = make_tcp_socket();
    EXPECT_TRUE(bind_and_listen(*socket, {{127, 0, 0, 2}, 0}, 0).ok());
    listener_ = std::move(*socket);
    endpoint_ = *local_endpoint(listener_.get());
    for (Fd& one : waiting_) {
      auto connecting = make_tcp_socket();
      EXPECT_TRUE(begin_connect(*connecting, endpoint_).ok());
      one = std::move(*connecting);
      test::wait_for(one.get(), POLLOUT, 100);
    }
    EXPECT_FALSE(test::wait_for(waiting_.back().get(), POLLOUT, 0)) << "there is room";
  }
  const Ipv4Endpoint& endpoint() const { return endpoint_; }

 private:
  Fd listener_;
  Ipv4Endpoint endpoint_;
  std::array<Fd, 3> waiting_;
};

TEST(Patience, AHostThatDoesNotTakeAConnectionIsNotWaitedFor) {
  const DeafHost host;
  Settings settings;
  settings.connect_timeout_ms = kShortMs;
  TestPlane plane(host.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/"));
  EXPECT_THAT(client.read_until("}"), AllOf(StartsWith("HTTP/1.1 410 "), HasSubstr("upstream_failed")));
}

TEST(Patience, AnEndDoesNotWaitForTheHost) {
  test::RawOrigin origin(take_the_head);
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/"));
  EXPECT_TRUE(plane.becomes([&] { return origin.log().ends_with("\r\n\r\n"); }));
  plane.on_loop([&] {
    plane.plane->drain();
    plane.plane->abort_all();
  });
  EXPECT_TRUE(plane.becomes([&] { return plane.plane->drained(); }));
}

// A close with unread bytes is a reset, and that may overtake the answer.
TEST(Patience, WhoIsOneTooManyHearsAnEndNotAReset) {
  test::RawOrigin origin(always(kOk));
  Settings settings;
  settings.max_connections_per_user = 1;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient first(plane.at);
  first.send(get("/"));
  EXPECT_THAT(first.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  std::unique_ptr<test::RawClient> second;
  plane.on_loop([&] {
    second = std::make_unique<test::RawClient>(
        plane.at);  // the kernel connects it; the loop accepts it later, with the request there
    second->send(get("/"));
  });
  EXPECT_THAT(second->read_all(), AllOf(StartsWith("HTTP/1.1 429 "), HasSubstr("too_many_connections")));
  EXPECT_TRUE(second->closed());
  EXPECT_FALSE(second->reset());
}

}  // namespace
}  // namespace msp::proxy
