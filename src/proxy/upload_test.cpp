// SPDX-License-Identifier: Apache-2.0
// Bodies that are streamed to the host, which may answer before it has read them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
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

constexpr std::string_view kTaken = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
constexpr std::string_view kRefused = "HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno";

std::string upload(const std::string& framing, const std::string& body) {
  return "PUT /vmAgentLog HTTP/1.1\r\nHost: metadata.test\r\n" + framing + "\r\n\r\n" + body;
}

TEST(Upload, AnAnswerDoesNotWaitForARestThatIsNotSent) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (read_head(self, socket)) {
      test::RawOrigin::say(socket, kRefused);
      self.wait_or_stop(-1);  // keeps its side open, and reads no more
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  for (const char* framing : {"Content-Length: 100000", "Transfer-Encoding: chunked"}) {
    test::RawClient client(plane.at);
    client.send(upload(framing, "A\r\n0123456789\r\n"));
    const std::string answer = client.read_until("no", 2000);
    EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 403 No\r\n"), HasSubstr("connection: close\r\n")));
    EXPECT_EQ(client.read_all(), "");
    EXPECT_TRUE(client.closed());
  }
}

TEST(Upload, AnAnswerDoesNotWaitForAHostThatReadsNoMore) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (read_head(self, socket)) {
      ::usleep(300'000);  // until both ways are full
      test::RawOrigin::say(socket, kRefused);
      self.wait_or_stop(-1);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  const std::string body(std::size_t{32} << 20, 'x');
  client.send(upload("Content-Length: " + std::to_string(body.size()), body));
  EXPECT_THAT(plane.lines().at(0), HasSubstr("\"status\":403"));
}

TEST(Upload, OneThatIsUnderWayEndsWithThePlane) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    read_head(self, socket);
    self.wait_or_stop(-1);
  });
  std::optional<test::RawClient> client;
  {
    TestPlane plane(origin.endpoint());
    plane.open_gate();
    client.emplace(plane.at);
    client->send(upload("Content-Length: 10", "01234"));
    EXPECT_EQ(client->read_until("never", 100), "");
  }
  client->read_all();
  EXPECT_TRUE(client->closed());
}

TEST(Upload, AnInterimAnswerDoesNotStopTheBody) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (read_head(self, socket)) {
      test::RawOrigin::say(socket, "HTTP/1.1 102 Processing\r\n\r\n");
      std::string body(10, ' ');
      for (std::size_t got = 0; got < body.size() && self.wait_or_stop(socket);) {
        got += static_cast<std::size_t>(std::max<ssize_t>(::recv(socket, body.data() + got, body.size() - got, 0), 0));
      }
      test::RawOrigin::say(socket, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n" + body);
      self.wait_or_stop(socket);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(upload("Content-Length: 10", "01234"));
  EXPECT_EQ(client.read_until("never", 100), "");
  client.send("56789");
  const std::string answer = client.read_until("0123456789");
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("\r\n\r\n0123456789")));
  EXPECT_THAT(answer, Not(HasSubstr("connection: close"))) << "nothing was cut";
}

TEST(Upload, ABodyThatStallsIsTimedOutWhileTheHostIsSilent) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    while (read_head(self, socket)) {
    }
  });
  Settings settings;
  settings.body_timeout_ms = 100;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(upload("Content-Length: 10", "01234"));
  EXPECT_THAT(client.read_all(), AllOf(StartsWith("HTTP/1.1 408 "), HasSubstr("body_timeout")));
}

/// Reads a chunked request to its end and says yes, one after the other.
void take_chunked(test::RawOrigin& origin, int socket) {
  while (read_head(origin, socket)) {
    std::string got;
    for (char byte = 0; !got.ends_with("\r\n0\r\n\r\n"); got += byte) {
      if (!origin.wait_or_stop(socket) || ::recv(socket, &byte, 1, 0) <= 0) {
        return;
      }
    }
    test::RawOrigin::say(socket, kTaken);
  }
}

TEST(Upload, ALimitHoldsForChunksAsForALength) {
  test::RawOrigin origin(take_chunked);
  Settings settings;
  settings.max_exempt_body_bytes = 10;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient fits(plane.at);
  fits.send(upload("Transfer-Encoding: chunked", "6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n"));
  EXPECT_THAT(fits.read_until("ok"), StartsWith("HTTP/1.1 200 "));
  test::RawClient chunks(plane.at);
  chunks.send(upload("Transfer-Encoding: chunked", "6\r\n012345\r\n5\r\n6789a\r\n0\r\n\r\n"));
  EXPECT_THAT(chunks.read_all(), AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr("body_too_large")));
  test::RawClient length(plane.at);
  length.send(upload("Content-Length: 11", "0123456789a"));
  EXPECT_THAT(length.read_all(), StartsWith("HTTP/1.1 413 "));
}

// What the next client sends would be the rest of the first one's body.
TEST(Upload, AConnectionWithHalfABodyOnItServesNobodyElse) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    for (std::string_view answer = kRefused; read_head(self, socket); answer = kTaken) {
      test::RawOrigin::say(socket, answer);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  for (int i = 1; i <= 4; ++i) {
    test::RawClient client(plane.at);
    client.send(upload("Content-Length: 100000", "0123456789"));
    EXPECT_THAT(client.read_until("no"), StartsWith("HTTP/1.1 403 "));
    EXPECT_EQ(client.read_all(), "");
    EXPECT_EQ(origin.connections(), i);
  }
}

TEST(Upload, WhoWaitsForItIsToldToContinueOnce) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    while (read_head(self, socket)) {
      test::RawOrigin::say(socket, "HTTP/1.1 100 Continue\r\n\r\n");
      std::string body(5, ' ');
      for (std::size_t got = 0; got < body.size() && self.wait_or_stop(socket);) {
        got += static_cast<std::size_t>(std::max<ssize_t>(::recv(socket, body.data() + got, body.size() - got, 0), 0));
      }
      test::RawOrigin::say(socket, kTaken);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  const std::string expecting = " HTTP/1.1\r\nHost: metadata.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  for (const std::string line : {"PUT /vmAgentLog", "POST /signed"}) {
    test::RawClient client(plane.at);
    for (int i = 0; i < 2; ++i) {
      client.send(line + expecting);
      EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n") << line;
      client.send("hello");
      EXPECT_THAT(client.read_until("ok"), StartsWith("HTTP/1.1 200 OK\r\n")) << line;
      client.send(line + expecting + "hello");
      EXPECT_THAT(client.read_until("ok"), StartsWith("HTTP/1.1 200 OK\r\n")) << line << ": it did not wait";
    }
  }
}

// A close with unread bytes is a reset, and that may overtake the answer.
TEST(Upload, AnEarlyAnswerIsFollowedByAnEndNotByAReset) {
  std::atomic<bool> go = false;
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    if (read_head(self, socket)) {
      test::RawOrigin::say(socket, "HTTP/1.1 403 No\r\ncontent-length: 10\r\n\r\nhello");
      go.wait(false);
      test::RawOrigin::say(socket, "world");
      self.wait_or_stop(-1);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(upload("Content-Length: 100000", "0123456789"));
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 403 No\r\n"));
  client.send(std::string(50'000, 'x'));  // nobody reads on: the answer does not wait for it
  go = true;
  go.notify_one();
  EXPECT_EQ(client.read_all(), "world");
  EXPECT_TRUE(client.closed());
  EXPECT_FALSE(client.reset());
}

// To HTTP/1.0 the plain end would say that this was all, also while its own body was still under way.
TEST(Upload, AnAnswerThatBreaksOffBeforeTheBodyIsThereLooksCutToOldClients) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (read_head(self, socket)) {
      test::RawOrigin::say(socket, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("PUT /vmAgentLog HTTP/1.0\r\nHost: metadata.test\r\nContent-Length: 100\r\n\r\n");
  EXPECT_THAT(client.read_all(), AllOf(StartsWith("HTTP/1.0 200 "), EndsWith("\r\n\r\nhello")));
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(client.reset());
}

// The host's time for its answer begins when it has the body, however long that took to come.
TEST(Upload, OneThatTakesLongerThanTheHostMayForItsAnswerIsAnswered) {
  constexpr int kPieces = 6;
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (read_head(self, socket)) {
      char byte = 0;
      for (int i = 0; i < kPieces && self.wait_or_stop(socket); ++i) {
        if (::recv(socket, &byte, 1, 0) <= 0) {
          return;
        }
      }
      ::usleep(50'000);
      test::RawOrigin::say(socket, kTaken);
      self.wait_or_stop(socket);
    }
  });
  Settings settings;
  settings.upstream_timeout_ms = 1000;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(upload("Content-Length: " + std::to_string(kPieces), ""));
  for (int i = 0; i < kPieces; ++i) {
    ::usleep(200'000);
    client.send("x");
  }
  EXPECT_THAT(client.read_until("ok"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

}  // namespace
}  // namespace msp::proxy
