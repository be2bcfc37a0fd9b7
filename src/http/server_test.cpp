// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "http/head_writer.h"
#include "tests/support/loop.h"

namespace msp::http {
namespace {

class Echo final : public Handler {
 public:
  Party party(const ConnectionInfo& info) override {
    return {.id = info.peer.address[3] / 2U, .most_connections = most_of_one};
  }
  std::optional<Response> before_body(const Request& request) override {
    EXPECT_TRUE(request.body.empty());
    if (request.target.path != "/early") {
      return std::nullopt;
    }
    return Response::error(request, 403, "early", "no");
  }
  std::uint64_t body_limit(const Request& request) override {
    EXPECT_TRUE(request.body.empty());
    return 200'000;
  }
  bool drops_body(const Request& request) override { return request.target.path == "/dropped"; }
  void on_refused(const ConnectionInfo& /*from*/, std::string_view request_id, const Refusal& refusal) override {
    EXPECT_EQ(request_id.size(), refusal.code == "too_many_connections" ? 0U : 16U);
    refused.emplace_back(refusal.code);
  }
  Task<Response> handle(const Request& request) override {
    body_bytes = request.body_bytes;
    seen.push_back(std::string(request.head.method) + " " + std::string(request.target.path) + " " +
                   std::string(request.body));
    connection = request.connection;
    if (request.target.path == "/slow") {
      co_await release.wait(kNoDeadline);
    }
    Response response = Response::text(request.target.path == "/empty" ? 204 : 200, seen.back());
    if (request.target.path == "/broken") {
      response.header("x", "a\r\nb: c");
    }
    if (request.target.path == "/last") {
      response.close();
    }
    if (request.target.path == "/no") {
      co_return Response::error(request, 403, "access_denied", "say \"please\"");
    }
    co_return response;
  }

  explicit Echo(Loop& loop) : release(loop) {}
  Signal release;
  std::size_t most_of_one = 0;
  std::vector<std::string> seen;
  std::vector<std::string> refused;
  std::uint64_t body_bytes = 0;
  ConnectionInfo connection;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() { restart({.head_ms = 50, .idle_ms = 80, .body_ms = 50, .linger_ms = 300, .max_connections = 2}); }

  void restart(const ServerLimits& limits) {
    server.emplace(loop, pool, echo, limits);
    auto listener = make_tcp_socket();
    ASSERT_TRUE(listener);
    ASSERT_TRUE(bind_and_listen(*listener, {{127, 0, 0, 1}, 0}, 16));
    address = *local_endpoint(listener->get());
    ASSERT_TRUE(server->listen(*std::move(listener)));
  }

  Fd connect(std::array<std::uint8_t, 4> from = {127, 0, 0, 1}) const {
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = std::bit_cast<std::uint32_t>(from);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&in), sizeof(in)), 0);
    in.sin_port = htons(address.port);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&in), sizeof(in)), 0);
    return socket;
  }

  /// Sends, then gathers until the text `until` has come, or, if empty, the connection has ended.
  std::string talk(const Fd& socket, std::string_view bytes, std::string_view until = {}) {
    test::send_all(socket.get(), bytes);
    return gather(socket, until);
  }
  std::string gather(const Fd& socket, std::string_view until = {}) {
    std::string out;
    bool closed = false;
    test::run_until(loop, [&] {
      out += test::receive(socket.get(), &closed);
      return closed || (!until.empty() && out.ends_with(until));
    });
    EXPECT_EQ(closed, until.empty()) << out;
    return out;
  }

  static std::string get(std::string_view path, std::string_view more = {}) {
    return "GET " + std::string(path) + " HTTP/1.1\r\nhost: h\r\n" + std::string(more) + "\r\n";
  }

  Loop loop;
  BufferPool pool;
  Echo echo{loop};
  std::optional<Server> server;
  Ipv4Endpoint address;
};

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  const Fd socket = connect();
  const std::string first = talk(socket, get("/a?b"), "GET /a ");
  EXPECT_TRUE(
      first.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 7\r\n"
                        "date: "))
      << first;
  EXPECT_EQ(first.find("connection:"), std::string::npos);
  EXPECT_EQ(echo.connection.local, address);
  EXPECT_NE(echo.connection.peer.port, 0);
  talk(socket, get("/b"), "GET /b ");
  EXPECT_EQ(server->connections(), 1U);
  EXPECT_EQ(server->counters().requests, 2U);
  EXPECT_EQ(gather(socket), "");  // idle: closed without a word
  EXPECT_EQ(server->connections(), 0U);
}

TEST_F(ServerTest, IdleConnectionsHoldNoBuffer) {
  const Fd socket = connect();
  talk(socket, get("/a"), "GET /a ");
  loop.run_once(0);
  EXPECT_EQ(pool.in_use(), 0U);
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  const Fd socket = connect();
  std::string many =
      "POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc" +
      std::string("POST /c HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n");
  std::string expected = "POST /p abc\nPOST /c de\n";
  for (int i = 0; i < 100; ++i) {
    many += get("/" + std::to_string(i));
    expected += "GET /" + std::to_string(i) + " \n";
  }
  talk(socket, many, "GET /99 ");
  std::string seen;
  for (const std::string& one : echo.seen) {
    seen += one + "\n";
  }
  EXPECT_EQ(seen, expected);
}

TEST_F(ServerTest, EveryByteOnItsOwn) {
  const Fd socket = connect();
  const std::string bytes =
      "POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc"
      "POST /c HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n";
  for (const char& byte : bytes) {
    test::send_all(socket.get(), {&byte, 1});
    loop.run_once(0);
  }
  gather(socket, "POST /c de");
  EXPECT_EQ(echo.seen, (std::vector<std::string>{"POST /p abc", "POST /c de"}));
}

TEST_F(ServerTest, LargeBodiesLeaveTheHeadAlone) {
  const Fd socket = connect();
  const std::string body(150'000, 'x');
  test::send_all(socket.get(), "PUT /large HTTP/1.1\r\nhost: h\r\ncontent-length: 150000\r\n\r\n");
  std::size_t sent = 0;
  test::run_until(loop, [&] {
    const ssize_t n = ::send(socket.get(), body.data() + sent, body.size() - sent, MSG_DONTWAIT);
    sent += n > 0 ? static_cast<std::size_t>(n) : 0;
    return sent == body.size();
  });
  test::run_until(loop, [&] { return !echo.seen.empty(); });
  EXPECT_EQ(echo.seen.at(0), "PUT /large " + body);
}

TEST_F(ServerTest, HeadAndNoContentHaveNoBody) {
  const Fd socket = connect();
  const std::string head = talk(socket, "HEAD /h HTTP/1.1\r\nhost: h\r\n\r\n", "\r\n\r\n");
  EXPECT_NE(head.find("content-length: 8\r\n"), std::string::npos) << head;
  const std::string empty = talk(socket, get("/empty"), "\r\n\r\n");
  EXPECT_EQ(empty.find("content-length"), std::string::npos) << empty;
}

TEST_F(ServerTest, OldClientsAreAnsweredInTheirVersion) {
  const Fd once = connect();
  const std::string closed = talk(once, "GET /old HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(closed.starts_with("HTTP/1.0 200 OK\r\n")) << closed;
  EXPECT_NE(closed.find("\r\nconnection: close\r\n"), std::string::npos);
  const Fd kept = connect();
  const std::string open = talk(kept, "GET /old HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", "GET /old ");
  EXPECT_NE(open.find("\r\nconnection: keep-alive\r\n"), std::string::npos);
}

TEST_F(ServerTest, ConnectionCloseIsHonoured) {
  EXPECT_NE(talk(connect(), get("/a", "connection: close\r\n")).find("\r\nconnection: close\r\n"), std::string::npos);
  EXPECT_NE(talk(connect(), get("/last")).find("\r\nconnection: close\r\n"), std::string::npos);
}

TEST_F(ServerTest, OnePartyCannotTakeAllConnections) {
  restart({.max_connections = 8});
  echo.most_of_one = 2;
  std::vector<Fd> open;
  for (const std::uint8_t last : {std::uint8_t{2}, std::uint8_t{3}}) {  // two addresses, one party
    open.push_back(connect({127, 0, 0, last}));
    talk(open.back(), get("/a"), "GET /a ");
  }
  EXPECT_TRUE(gather(connect({127, 0, 0, 2})).starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(server->counters().refused_connections, 1U);
  ASSERT_EQ(echo.refused.size(), 1U);
  EXPECT_EQ(echo.refused.back(), "too_many_connections");
  const Fd other = connect({127, 0, 0, 1});
  EXPECT_TRUE(talk(other, get("/b"), "GET /b ").starts_with("HTTP/1.1 200 "));
  open.pop_back();
  test::run_until(loop, [&] { return server->connections() == 2; });
  EXPECT_TRUE(talk(connect({127, 0, 0, 3}), get("/c", "connection: close\r\n")).starts_with("HTTP/1.1 200 "));
}

TEST_F(ServerTest, NobodyWaitsForAllThatOnePartyAsks) {
  constexpr std::size_t kConnections = 12;
  constexpr std::size_t kRequests = 30;
  // Four short requests a turn, or one that is long: by its head or by its body.
  const std::string path = "/" + std::string(5'000, 'a');
  for (const std::string& asked :
       {get("/a"), get(path),
        "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 5000\r\n\r\n" + std::string(5'000, 'x')}) {
    restart({.max_connections = 40, .turn_bytes = 4'096});
    echo.seen.clear();
    std::string all;
    for (std::size_t i = 0; i < kRequests; ++i) {
      all += asked;
    }
    std::vector<Fd> open;
    for (std::size_t i = 0; i < kConnections; ++i) {
      open.push_back(connect({127, 0, 0, 2}));
      test::send_all(open.back().get(), all);
    }
    const Fd other = connect({127, 0, 0, 4});
    test::send_all(other.get(), get("/other"));
    test::run_until(loop, [&] {
      for (const Fd& socket : open) {
        test::receive(socket.get());
      }
      return echo.seen.size() == kConnections * kRequests + 1;
    });
    const auto at = std::ranges::find(echo.seen, "GET /other ") - echo.seen.begin();
    EXPECT_LE(at, asked.size() > 1'000 ? 2 : 8) << asked.substr(0, 10);
  }
}

TEST_F(ServerTest, BodiesThatAreKeptAreBoundedForEachPartyAndForAll) {
  restart({.max_connections = 40, .body_bytes = 8'000});
  const auto begun = [this](std::uint8_t last) {
    Fd socket = connect({127, 0, 0, last});
    test::send_all(socket.get(), "POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n" + std::string(999, 'x'));
    return socket;
  };
  std::vector<Fd> open;
  for (int party = 1; party <= 8; ++party) {
    open.push_back(begun(static_cast<std::uint8_t>(2 * party)));
    // Over its own share, and in the end over what there is.
    EXPECT_TRUE(gather(begun(static_cast<std::uint8_t>(2 * party))).starts_with("HTTP/1.1 503 ")) << party;
    EXPECT_EQ(echo.refused.back(), "too_many_bodies");
  }
  EXPECT_TRUE(gather(begun(18)).starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(talk(connect({127, 0, 0, 18}), get("/a", "connection: close\r\n")).starts_with("HTTP/1.1 200 "));
  for (const Fd& socket : open) {
    EXPECT_TRUE(talk(socket, "x", "xxx").starts_with("HTTP/1.1 200 "));
  }
  // Whole, refused, cut off: nothing is held of them.
  Fd cut = begun(2);
  loop.run_once(0);
  cut = Fd();
  test::run_until(loop, [&] { return server->connections() == open.size(); });
  EXPECT_TRUE(talk(begun(2), "x", "xxx").starts_with("HTTP/1.1 200 "));
}

TEST_F(ServerTest, WhatNeedsNoBodyIsAnsweredWithoutIt) {
  restart({.linger_ms = 300, .max_connections = 8});
  const std::string head = "POST /early HTTP/1.1\r\nhost: h\r\ncontent-length: 100000\r\n";
  for (const std::string& rest :
       {std::string("\r\n"), std::string("\r\nabc"), std::string("expect: 100-continue\r\n\r\n")}) {
    const Fd socket = connect();
    const std::string answer = talk(socket, head + rest);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 ")) << answer;
    EXPECT_NE(answer.find("\r\nconnection: close\r\n"), std::string::npos);
  }
  EXPECT_TRUE(echo.seen.empty());
  EXPECT_EQ(server->counters().bad_requests, 0U);
  // With its body there, it is a request like others.
  EXPECT_TRUE(talk(connect(), "POST /early HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc", "abc")
                  .starts_with("HTTP/1.1 200 "));
}

TEST_F(ServerTest, ContinueIsSentOnlyWhenTheBodyIsAwaited) {
  restart({.max_connections = 8});
  const std::string head = "POST /e HTTP/1.1\r\nhost: h\r\nexpect: 100-Continue\r\ncontent-length: 3\r\n";
  const Fd waiting = connect();
  EXPECT_EQ(talk(waiting, head + "\r\n", "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_TRUE(talk(waiting, "abc", "POST /e abc").starts_with("HTTP/1.1 200"));
  const Fd early = connect();
  EXPECT_TRUE(talk(early, head + "\r\nabc", "POST /e abc").starts_with("HTTP/1.1 200"));
  const std::string large = talk(
      connect(),
      "POST /e HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 200001\r\nconnection: close\r\n\r\n");
  EXPECT_TRUE(large.starts_with("HTTP/1.1 413 ")) << large;
  EXPECT_TRUE(talk(connect(), get("/e", "expect: tea\r\n")).starts_with("HTTP/1.1 417 "));
}

struct BadRequest {
  std::string bytes;
  std::string status;
  std::string code;
};

TEST_F(ServerTest, BadInputIsAnsweredOnceInOurForm) {
  const std::vector<BadRequest> cases = {
      {"GET / HTTP/1.1\n\n", "400", "bad_line_end"},
      {"GET / HTTP/1.1\r\nhost: h\r\na : b\r\n\r\n", "400", "bad_header"},
      {"GET / HTTP/1.1\r\n\r\n", "400", "bad_host"},
      {"GET / HTTP/1.1\r\nhost: h\r\nhost: h\r\n\r\n", "400", "bad_host"},
      {get("abc/def"), "400", "bad_target"},
      {get("/", "connection: x-ms-azure-host-date\r\n"), "400", "bad_connection_header"},
      {"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", "400",
       "length_ambiguous"},
      {"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n", "400", "bad_chunk"},
      {"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 200001\r\n\r\n", "413", "body_too_large"},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", "version_not_supported"},
      {"GET /" + std::string(70'000, 'x') + " HTTP/1.1\r\n\r\n", "414", "target_too_long"},
      {get("/", "x: " + std::string(70'000, 'x') + "\r\n"), "431", "head_too_large"},
      {"GET / HTTP/1.1\r\nhost", "408", "request_timeout"},
      {"", "408", "request_timeout"},
      {"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nab", "408", "request_timeout"},
  };
  for (const BadRequest& bad : cases) {
    const std::string answer = talk(connect(), bad.bytes);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + bad.status + " ")) << answer;
    EXPECT_NE(answer.find("\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"), std::string::npos);
    EXPECT_NE(answer.find("\r\nconnection: close\r\n"), std::string::npos);
    const auto body = json::parse(std::string_view(answer).substr(answer.find("\r\n\r\n") + 4));
    ASSERT_TRUE(body) << answer;
    EXPECT_EQ(*body->find("error")->string(), bad.code);
    EXPECT_FALSE(body->find("error_description")->string()->empty());
    EXPECT_EQ(body->find("request_id")->string()->size(), 16U);
  }
  EXPECT_TRUE(echo.seen.empty());
  EXPECT_EQ(server->counters().bad_requests, cases.size());
}

TEST_F(ServerTest, HandlerErrorsAreEscapedAndBrokenResponsesNeverLeave) {
  const Fd socket = connect();
  const std::string no = talk(socket, get("/no"), "}");
  EXPECT_NE(no.find(R"({"error":"access_denied","error_description":"say \"please\"","request_id":")"),
            std::string::npos)
      << no;
  const std::string broken = talk(socket, get("/broken"));
  EXPECT_TRUE(broken.starts_with("HTTP/1.1 500 ")) << broken;
  EXPECT_EQ(broken.find("b: c"), std::string::npos);
  EXPECT_EQ(server->counters().broken_responses, 1U);
}

TEST_F(ServerTest, ADroppedBodyIsCountedNotKept) {
  const Fd socket = connect();
  const std::string piece(150'000, 'x');
  const std::string answer =
      talk(socket, "PUT /dropped HTTP/1.1\r\nhost: h\r\ncontent-length: 150000\r\n\r\n" + piece, "PUT /dropped ");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_EQ(echo.seen.back(), "PUT /dropped ");
  EXPECT_EQ(echo.body_bytes, 150'000U);
  EXPECT_NE(talk(socket, get("/next"), "GET /next ").find("200 OK"), std::string::npos) << "the connection lives on";
}

TEST_F(ServerTest, TheHandlerHearsOfWhatTheServerRefuses) {
  talk(connect(), "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(echo.refused, std::vector<std::string>{"bad_host"});
  EXPECT_TRUE(echo.seen.empty());
}

TEST_F(ServerTest, TooManyConnectionsAreToldSo) {
  const Fd a = connect();
  const Fd b = connect();
  const std::string refused = gather(connect());
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n")) << refused;
  const std::size_t body = refused.find("\r\n\r\n") + 4;
  EXPECT_NE(refused.find("content-length: " + std::to_string(refused.size() - body) + "\r\n"), std::string::npos);
  EXPECT_EQ(server->counters().refused_connections, 1U);
}

TEST_F(ServerTest, DrainLetsBusyOnesFinish) {
  restart({});
  const Fd busy = connect();
  const Fd idle = connect();
  const Fd fresh = connect();
  talk(idle, get("/a"), "GET /a ");
  test::send_all(busy.get(), get("/slow"));
  test::run_until(loop, [&] { return echo.seen.size() == 2 && server->connections() == 3; });
  const auto drained = server->drain(loop.after_ms(60'000));
  EXPECT_EQ(gather(idle), "");
  EXPECT_EQ(gather(fresh), "");
  EXPECT_FALSE(drained.done());
  echo.release.announce();
  EXPECT_NE(gather(busy).find("\r\nconnection: close\r\n"), std::string::npos);
  test::run_until(loop, [&] { return drained.done(); });
  EXPECT_EQ(server->connections(), 0U);
}

TEST_F(ServerTest, DrainTellsWhoAsksOnceMore) {
  restart({.farewell_ms = 60'000});
  const Fd kept = connect();
  const Fd unread = connect();
  talk(kept, get("/a"), "GET /a ");
  talk(unread, get("/a"), "GET /a ");
  test::send_all(unread.get(), get("/b"));  // is there, and nobody has looked yet
  const auto drained = server->drain(loop.after_ms(120'000));
  EXPECT_NE(gather(unread).find("\r\nconnection: close\r\n"), std::string::npos);
  EXPECT_FALSE(drained.done());
  test::send_all(kept.get(), get("/c"));
  const std::string last = gather(kept);
  EXPECT_NE(last.find("GET /c "), std::string::npos);
  EXPECT_NE(last.find("\r\nconnection: close\r\n"), std::string::npos);
  test::run_until(loop, [&] { return drained.done(); });
  EXPECT_EQ(server->connections(), 0U);
}

TEST_F(ServerTest, DrainEndsAtItsDeadlineAndTheRestIsCut) {
  restart({});
  const Fd busy = connect();
  test::send_all(busy.get(), get("/slow"));
  test::run_until(loop, [&] { return echo.seen.size() == 1; });
  const auto drained = server->drain(loop.after_ms(20));
  test::run_until(loop, [&] { return drained.done(); });
  server.reset();
  EXPECT_EQ(gather(busy), "");
}

TEST_F(ServerTest, UnixSocketsTellTheUser) {
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  // An abstract name: nothing to clean up.
  const std::string name = "msp-http-test-" + std::to_string(::getpid());
  name.copy(at.sun_path + 1, sizeof(at.sun_path) - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&at), size), 0);
  ASSERT_EQ(::listen(listener.get(), 4), 0);
  ASSERT_TRUE(server->listen(std::move(listener)));
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&at), size), 0);
  talk(socket, get("/u"), "GET /u ");
  EXPECT_EQ(echo.connection.peer_uid, ::getuid());
  EXPECT_EQ(echo.connection.peer, Ipv4Endpoint{});
}

}  // namespace
}  // namespace msp::http
