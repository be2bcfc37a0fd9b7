// SPDX-License-Identifier: Apache-2.0
// Requests that a handler passes on: bodies piece by piece in both directions, and what becomes of the connection.
#include "http/passage.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <future>

#include <optional>
#include <string>

#include "http/server.h"
#include "tests/support/loop.h"
#include "tests/support/slow_reader.h"

namespace msp::http {
namespace {

/// The path says what it does.
class PassOn final : public Handler {
 public:
  std::uint64_t body_limit(const Request& /*request*/) override { return 100; }
  void on_refused(const ConnectionInfo& /*from*/, std::string_view /*id*/, const Refusal& refusal) override {
    refused = refusal.code;
  }
  Task<Response> handle(const Request& /*request*/) override { co_return Response::text(200, own); }
  Passing passes_on(const Request& request) override {
    return request.target.path == "/own"         ? Passing::kNo
           : request.target.path == "/collected" ? Passing::kCollected
                                                 : Passing::kStreamed;
  }
  Task<void> pass(const Request& request, Passage& passage) override {
    const std::string_view path = request.target.path;
    body = request.body;
    pieces = 0;
    if (path == "/early") {
      co_await passage.answer(Response::text(403, "no"));
    }
    if (path == "/early" || path == "/nothing") {
      co_return;
    }
    if (path == "/endless") {
      bool taken = co_await passage.begin(Response(200), std::nullopt);
      for (const std::string piece(1'000, 'x'); taken; pieces += taken ? 1 : 0) {
        taken = co_await passage.write(piece);
      }
      co_return;
    }
    if (path == "/large") {
      good = co_await passage.begin(Response(200), std::nullopt);
      for (int i = 0; i < 10 && good; ++i) {
        good = co_await passage.write(std::string(60'000, 'x'));
      }
      good = good && co_await passage.end();
      co_return;
    }
    while (path != "/hasty") {
      const BodyPiece piece = co_await passage.read();
      if (piece.status == BodyStatus::kEnd) {
        break;
      }
      if (piece.status != BodyStatus::kPiece) {
        co_await passage.refuse(piece);
        co_return;
      }
      ++pieces;
      body += piece.data;
    }
    const auto length = path == "/known" || path == "/hasty" ? std::optional<std::uint64_t>(6) : std::nullopt;
    const bool begun = co_await passage.begin(Response(path == "/204" ? 204 : 200), length);
    const bool one = co_await passage.write("one");
    const bool two = co_await passage.write("two");
    good = begun && one && two;
    if (path != "/cut") {
      good = co_await passage.end();
    }
  }

  std::string own = "handled";
  std::string body;
  std::string refused;
  int pieces = 0;
  bool good = false;
};

class PassageTest : public testing::Test {
 protected:
  PassageTest()
      : server(loop, pool, handler,
               {.head_ms = 100,
                .idle_ms = 100,
                .body_ms = 100,
                .write_ms = 1'000,
                .linger_ms = 100,
                .turn_bytes = kTurnBytes}) {
    auto listener = make_tcp_socket();
    EXPECT_TRUE(listener && bind_and_listen(*listener, {{127, 0, 0, 1}, 0}, 16));
    address = *local_endpoint(listener->get());
    EXPECT_TRUE(server.listen(*std::move(listener)));
  }
  Fd connect() const {
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&in), sizeof(in)), 0);
    return socket;
  }
  /// Everything until the server closes, which it does after a while at the latest.
  std::string talk(std::string_view bytes) {
    const Fd socket = connect();
    test::send_all(socket.get(), bytes);
    std::string out;
    bool closed = false;
    test::run_until(loop, [&] {
      out += test::receive(socket.get(), &closed);
      return closed;
    });
    return out;
  }
  static std::string put(std::string_view path, std::string_view framing, std::string_view body = {}) {
    return "PUT " + std::string(path) + " HTTP/1.1\r\nhost: h\r\n" + std::string(framing) + "\r\n\r\n" +
           std::string(body);
  }

  static constexpr std::uint64_t kTurnBytes = 10'000;

  Loop loop;
  BufferPool pool;
  PassOn handler;
  Server server;
  Ipv4Endpoint address;
};

TEST_F(PassageTest, AnAnswerWithoutAnEndLeavesTurnsToOthers) {
  const Fd socket = connect();
  test::send_all(socket.get(), put("/endless", "content-length: 0"));
  test::run_until(loop, [&] { return handler.pieces > 0; });
  for (int turn = 0; turn < 5; ++turn) {
    const int before = handler.pieces;
    loop.run_once(0);
    EXPECT_LE(handler.pieces, before + 10) << "the client would take more at once";
    EXPECT_GT(handler.pieces, before);
  }
}

constexpr std::string_view kChunked = "\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";

// Slower than the kernel tells of room: what is passed on, and what the host says itself.
TEST_F(PassageTest, AnswersThatAreTakenSlowlyArrive) {
  Fd listener = test::listener_with_a_queue();
  const Ipv4Endpoint at = *local_endpoint(listener.get());
  EXPECT_TRUE(server.listen(std::move(listener)));
  handler.own = std::string(600'000, 'x') + "0\r\n\r\n";
  for (const char* const path : {"/large", "/own"}) {
    auto came = std::async(std::launch::async, test::taken_slowly, at, put(path, "content-length: 0"), "0\r\n\r\n", 1);
    test::run_until(loop, [&] { return came.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
    EXPECT_EQ(came.get(), 1U) << path;
  }
}

TEST_F(PassageTest, AnAnswerOfWhichNothingIsTakenIsGivenUp) {
  Fd listener = test::listener_with_a_queue();
  address = *local_endpoint(listener.get());
  EXPECT_TRUE(server.listen(std::move(listener)));
  handler.own = std::string(8'000'000, 'x');
  for (const char* const path : {"/large", "/own"}) {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    test::set_buffer(socket, SO_RCVBUF, 1);
    EXPECT_TRUE(begin_connect(socket, address).ok());
    test::send_all(socket.get(), put(path, "content-length: 0"));
    test::run_until(loop, [&] { return server.connections() == 1; });
    test::run_until(loop, [&] { return server.connections() == 0; });
  }
}

TEST_F(PassageTest, BothDirectionsAndTheConnectionGoesOn) {
  const std::string out = talk(put("/a", "content-length: 5", "hello") + put("/own", "content-length: 0"));
  EXPECT_EQ(handler.body, "hello");
  EXPECT_NE(out.find("transfer-encoding: chunked"), std::string::npos) << out;
  EXPECT_NE(out.find(kChunked), std::string::npos) << out;
  EXPECT_TRUE(out.ends_with("handled")) << out;
  EXPECT_TRUE(handler.good);
}

TEST_F(PassageTest, ChunksOfTheRequestAreUnframed) {
  talk(put("/a", "transfer-encoding: chunked", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  EXPECT_EQ(handler.body, "abcde");
}

TEST_F(PassageTest, ACollectedBodyIsThereAtOnce) {
  const std::string out = talk(put("/collected", "content-length: 5", "hello"));
  EXPECT_EQ(handler.body, "hello");
  EXPECT_EQ(handler.pieces, 0);
  EXPECT_TRUE(out.ends_with(kChunked)) << out;
}

TEST_F(PassageTest, AKnownLengthIsSaidAndOldClientsGetTheEndOfTheConnection) {
  EXPECT_TRUE(talk(put("/known", "content-length: 0")).ends_with("\r\n\r\nonetwo"));
  const std::string old = talk("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_NE(old.find("connection: close\r\n\r\nonetwo"), std::string::npos) << old;
  EXPECT_EQ(old.find("transfer-encoding"), std::string::npos);
}

TEST_F(PassageTest, AnswersWithoutABodyHaveNone) {
  for (const std::string_view text : {"HEAD /a HTTP/1.1\r\nhost: h\r\n\r\n", "GET /204 HTTP/1.1\r\nhost: h\r\n\r\n"}) {
    const std::string out = talk(text);
    EXPECT_TRUE(out.ends_with("\r\n\r\n")) << out;
    EXPECT_EQ(out.find("one"), std::string::npos);
    EXPECT_TRUE(handler.good);
  }
}

TEST_F(PassageTest, WhatIsNotEndedIsCut) {
  const std::string out = talk(put("/cut", "content-length: 0") + put("/own", "content-length: 0"));
  EXPECT_TRUE(out.ends_with("two\r\n")) << out;
}

TEST_F(PassageTest, AnAnswerBeforeTheBodyEndsTheConnection) {
  const std::string out = talk(put("/early", "content-length: 50", "part"));
  EXPECT_TRUE(out.starts_with("HTTP/1.1 403")) << out;
  EXPECT_NE(out.find("connection: close"), std::string::npos);
}

TEST_F(PassageTest, AnAnswerThatBeginsBeforeTheBodyHasEndedEndsTheConnection) {
  const std::string out = talk(put("/hasty", "content-length: 50", "part"));
  EXPECT_NE(out.find("\r\nconnection: close\r\n"), std::string::npos) << out;
  EXPECT_TRUE(out.ends_with("\r\n\r\nonetwo")) << "what is left of the body is no request: " << out;
}

TEST_F(PassageTest, NoAnswerIsAnError) {
  EXPECT_TRUE(talk(put("/nothing", "content-length: 0")).starts_with("HTTP/1.1 500"));
}

TEST_F(PassageTest, BadBodiesAreRefusedByTheServer) {
  const struct {
    std::string_view framing, body, status, code;
  } rows[] = {{"content-length: 101", "x", "HTTP/1.1 413", "body_too_large"},
              {"transfer-encoding: chunked", "zz\r\n", "HTTP/1.1 400", "bad_chunk"},
              {"content-length: 50", "part", "HTTP/1.1 408", "request_timeout"}};
  for (const auto& row : rows) {
    const std::string out = talk(put("/a", row.framing, row.body));
    EXPECT_TRUE(out.starts_with(row.status)) << out;
    EXPECT_EQ(handler.refused, row.code);
  }
}

TEST_F(PassageTest, WhoExpectsItIsToldToGoOn) {
  const std::string out = talk(put("/a", "expect: 100-continue\r\ncontent-length: 5"));
  EXPECT_TRUE(out.starts_with("HTTP/1.1 100 Continue\r\n\r\n")) << out;
}

}  // namespace
}  // namespace msp::http
