// SPDX-License-Identifier: Apache-2.0
// Answers of the host on their way to the client, and what becomes of the connection that they came on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "proxy/test_plane.h"

namespace msp::proxy {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Relay, TrailersAreDroppedAndTheAnswerIsWhole) {
  test::RawOrigin origin(
      always("HTTP/1.1 200 OK\r\nTrailer: via, x-ms-request-id\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
             "Date: x\r\nvia: y\r\nx-ms-request-id: 1\r\n\r\n"));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  for (int i = 0; i < 2; ++i) {
    client.send(get("/"));
    const std::string answer = client.read_until("\r\n0\r\n\r\n");
    EXPECT_THAT(answer, EndsWith("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("railer"))) << "none is announced that will not come";
  }
  EXPECT_EQ(origin.connections(), 1);
}

// A reader that takes the length at its word would wait for six bytes, or take them from the next answer.
TEST(Relay, NoContentHasNoLength) {
  int round = 0;
  test::RawOrigin origin([&round](test::RawOrigin& self, int socket) {
    const char* answers[] = {"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n",
                             "HTTP/1.1 304 Not Modified\r\ncontent-length: 6\r\n\r\n"};
    while (!self.read_request(socket).empty()) {
      test::RawOrigin::say(socket, answers[round++]);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/nothing"));
  EXPECT_THAT(client.read_until("\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 204 "), Not(HasSubstr("ontent-length")), Not(HasSubstr("ontent-Length"))));
  client.send(get("/same"));
  EXPECT_THAT(client.read_until("\r\n\r\n"), AllOf(StartsWith("HTTP/1.1 304 "), HasSubstr("content-length: 6\r\n")));
  EXPECT_EQ(origin.connections(), 1);
}

/// What comes after such an answer must go over another connection.
TEST(Relay, AConnectionIsUsedAgainOnlyWhereNothingSpeaksAgainstIt) {
  for (const std::string& answer :
       {std::string("HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 5\r\n\r\nhello"),
        std::string("HTTP/1.1 200 OK\r\nconnection: x, Close\r\nContent-Length: 5\r\n\r\nhello"),
        std::string("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello"), std::string(kOk) + "x",
        std::string(kOk) + std::string(kOk)}) {
    test::RawOrigin origin(always(answer));
    TestPlane plane(origin.endpoint());
    plane.open_gate();
    test::RawClient client(plane.at);
    for (int i = 1; i <= 4; ++i) {
      client.send(get("/"));
      EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 OK\r\n")) << answer;
      EXPECT_EQ(origin.connections(), i) << answer;
    }
  }
}

TEST(Relay, InterimAnswersHaveABound) {
  const std::string hint = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
  std::atomic<int> hints = 8;
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    while (!self.read_request(socket).empty()) {
      for (int i = 0; i < hints; ++i) {
        test::RawOrigin::say(socket, hint);
      }
      test::RawOrigin::say(socket, kOk);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/"));
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  hints = 9;
  client.send(get("/"));
  EXPECT_THAT(client.read_until("}"), AllOf(StartsWith("HTTP/1.1 410 "), HasSubstr("not well-formed")));
}

// Who asks is told what happened, not that nobody answered.
TEST(Relay, AChangeOfProtocolAndHalfAHeadAreNoSilence) {
  for (const std::string_view answer :
       {"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: own\r\n\r\n", "HTTP/1.1 200 OK\r\nx: "}) {
    test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
      self.read_request(socket);
      test::RawOrigin::say(socket, answer);
    });
    TestPlane plane(origin.endpoint());
    plane.open_gate();
    test::RawClient client(plane.at);
    client.send(get("/"));
    EXPECT_THAT(client.read_until("}"), AllOf(StartsWith("HTTP/1.1 410 "), HasSubstr("not well-formed"))) << answer;
  }
}

// Half an answer is an answer: whatever the request did, it has done. A reset and an end look alike.
TEST(Relay, ARequestIsNotRepeatedAfterThePartOfAnAnswer) {
  for (const bool reset : {false, true}) {
    for (const std::string part : {"HTTP/1.1 200 O", "HTTP/1.1 103 Early Hints\r\n\r\n"}) {
      test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
        self.read_request(socket);
        test::RawOrigin::say(socket, kOk);
        if (self.read_request(socket).empty()) {
          return;
        }
        test::RawOrigin::say(socket, part);
        ::usleep(50'000);
        const linger now{.l_onoff = reset ? 1 : 0, .l_linger = 0};
        ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
      });
      TestPlane plane(origin.endpoint());
      plane.open_gate();
      test::RawClient client(plane.at);
      client.send(get("/first"));
      EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
      client.send(get("/second"));
      EXPECT_THAT(client.read_until("}"), AllOf(StartsWith("HTTP/1.1 410 "), HasSubstr("upstream_failed")));
      EXPECT_EQ(origin.connections(), 1) << part << (reset ? " reset" : " closed");
    }
  }
}

// Whatever else it asks for may have been done: only GET and HEAD are asked once more.
TEST(Relay, OnlyWhatReadsIsRepeatedOnAStaleConnection) {
  for (const std::string method : {"GET", "HEAD", "OPTIONS", "DELETE"}) {
    test::RawOrigin origin([](test::RawOrigin& self, int socket) {
      if (!self.read_request(socket).empty()) {
        test::RawOrigin::say(socket, "HTTP/1.1 204 No Content\r\n\r\n");
        self.read_request(socket);  // takes the next one and closes
      }
    });
    TestPlane plane(origin.endpoint());
    plane.open_gate();
    test::RawClient client(plane.at);
    client.send(get("/first"));
    EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 204 "));
    client.send(method + " /second HTTP/1.1\r\nHost: metadata.test\r\n\r\n");
    const bool repeated = method == "GET" || method == "HEAD";
    EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith(repeated ? "HTTP/1.1 204 " : "HTTP/1.1 410 ")) << method;
    EXPECT_EQ(origin.connections(), repeated ? 2 : 1) << method;
  }
}

// HTTP/1.0 knows no chunks: an answer without a length ends with the connection.
TEST(Relay, OldClientsSeeTheEndOfAnAnswerByItsLengthOrByTheEndOfTheConnection) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    for (std::string request = self.read_request(socket); !request.empty(); request = self.read_request(socket)) {
      test::RawOrigin::say(socket, request.contains("/chunked")
                                       ? "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                                       : kOk);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  const std::string rest = " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  client.send("GET /length" + rest);
  EXPECT_THAT(client.read_until("hello"), HasSubstr("connection: keep-alive\r\n"));
  client.send("GET /chunked" + rest);
  EXPECT_THAT(client.read_all(), AllOf(HasSubstr("connection: close\r\n"), EndsWith("\r\n\r\nhello"),
                                       Not(HasSubstr("keep-alive")), Not(HasSubstr("transfer-encoding"))));
  EXPECT_TRUE(client.closed());
}

// Without a length or chunks nothing but a reset tells it that there was more.
TEST(Relay, AnAnswerThatBreaksOffLooksCutToOldClientsToo) {
  for (const std::string part :
       {"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "content-length: 10\r\n\r\nhello"}) {
    test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
      self.read_request(socket);
      test::RawOrigin::say(socket, "HTTP/1.1 200 OK\r\n" + part);
    });
    TestPlane plane(origin.endpoint());
    plane.open_gate();
    for (const std::string version : {"0", "1"}) {
      test::RawClient client(plane.at);
      client.send("GET / HTTP/1." + version + "\r\nHost: metadata.test\r\n\r\n");
      const std::string got = client.read_all();
      EXPECT_THAT(got, StartsWith("HTTP/1." + version + " 200 "));
      EXPECT_TRUE(client.closed());
      const bool says_how_much =
          got.contains("content-length: 10\r\n") || got.contains("transfer-encoding: chunked\r\n");
      EXPECT_EQ(client.reset(), !says_how_much) << version << part;
      EXPECT_EQ(says_how_much, version == "1" || part.starts_with("content")) << got;
    }
  }
}

// Nor may the end of the agent, or of its patience, look like the end of the answer.
TEST(Relay, AnAnswerThatIsGivenUpLooksCutToOldClientsToo) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    self.read_request(socket);
    test::RawOrigin::say(socket, "HTTP/1.1 200 OK\r\n\r\nhello");
    self.wait_or_stop(-1);
  });
  Settings settings;
  settings.upstream_timeout_ms = 200;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.read_all(), EndsWith("hello"));
  EXPECT_TRUE(client.reset());
}

// Clients take the header for a sign of an agent (protocol.md D.10); what the host says in it is the host's own.
TEST(Relay, TheHostsAuthorizationIsReplaced) {
  test::RawOrigin origin(
      always("HTTP/1.1 200 OK\r\nX-Ms-Azure-Host-Authorization: of the host\r\ncontent-length: 5\r\n\r\nhello"));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/"));
  const std::string answer = client.read_until("hello");
  EXPECT_THAT(answer, HasSubstr("\r\nx-ms-azure-host-authorization: value\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("of the host")));
}

TEST(Relay, AnAnswerThatStallsIsCut) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    self.read_request(socket);
    test::RawOrigin::say(socket, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    self.wait_or_stop(socket);
  });
  Settings settings;
  settings.upstream_timeout_ms = 200;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/"));
  EXPECT_THAT(client.read_all(), EndsWith("half"));
  EXPECT_TRUE(client.closed());
  EXPECT_THAT(plane.lines().at(0), HasSubstr("upstream_broken"));
}

TEST(Relay, TheRecordSaysHowMuchOfABodyThereWas) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    self.read_request(socket);
    test::RawOrigin::say(socket, kOk);
    self.read_request(socket);
    test::RawOrigin::say(socket,
                         "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n4\r\nlo!!\r\n0\r\n\r\n");
    self.read_request(socket);
    test::RawOrigin::say(socket, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/length"));
  client.read_until("hello");
  client.send(get("/chunks"));
  client.read_until("\r\n0\r\n\r\n");
  client.send(get("/cut"));
  client.read_all();
  const std::vector<std::string> lines = plane.lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[0], HasSubstr("\"bytes_out\":5,"));
  EXPECT_THAT(lines[1], HasSubstr("\"bytes_out\":7,")) << "without the framing";
  EXPECT_THAT(lines[2], HasSubstr("\"bytes_out\":9,"));
}

// Nothing of such an answer is passed on, whichever part of it cannot be read.
TEST(Relay, AnAnswerThatCannotBeReadIsCountedAsAFailure) {
  for (const std::string& answer :
       {std::string("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
        std::string("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno chunk\r\n")}) {
    test::RawOrigin origin(always(answer));
    TestPlane plane(origin.endpoint());
    plane.open_gate();
    test::RawClient client(plane.at);
    client.send(get("/"));
    EXPECT_THAT(client.read_until("}"), AllOf(StartsWith("HTTP/1.1 410 "), HasSubstr("not well-formed"))) << answer;
    EXPECT_EQ(plane.counters.upstream_failed, 1U) << answer;
    EXPECT_EQ(plane.counters.served, 0U) << answer;
  }
}

// Its answer has said that the connection ends: what was sent behind it is the client's to send again, and the host
// must not have done it.
TEST(Relay, WhatWasPipelinedBehindTheLastAnswerIsNotPassedOn) {
  std::atomic<bool> asked = false;
  std::atomic<bool> go = false;
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    while (!self.read_request(socket).empty()) {
      asked = true;
      go.wait(false);
      test::RawOrigin::say(socket, kOk);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/first") + get("/behind"));
  EXPECT_TRUE(plane.becomes([&] { return asked.load(); }));
  plane.on_loop([&] { plane.plane->drain(); });
  go = true;
  go.notify_all();
  EXPECT_THAT(client.read_until("hello"), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("connection: close\r\n")));
  EXPECT_EQ(client.read_all(), "");
  EXPECT_TRUE(client.closed());
  EXPECT_FALSE(client.reset());
  EXPECT_THAT(origin.log(), Not(HasSubstr("/behind")));
  EXPECT_EQ(plane.lines().size(), 1U);
}

}  // namespace
}  // namespace msp::proxy
