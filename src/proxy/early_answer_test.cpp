// SPDX-License-Identifier: Apache-2.0
// Answers that the host gives to a signed request before it has read its body, or without reading it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>

#include "proxy/test_plane.h"

namespace msp::proxy {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::size_t kMoreThanFits = std::size_t{16} << 20;  // than the buffers of both ends take
constexpr std::string_view kNotThisKey =
    "HTTP/1.1 401 Unauthorized\r\ncontent-length: 23\r\n\r\n{\"error\":\"unknown_key\"}";
constexpr std::string_view kTooLarge = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
constexpr std::string_view kElsewhere = "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 2\r\n\r\n{}";
constexpr std::string_view kTaken = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

Settings large_bodies() {
  Settings settings;
  settings.max_signed_body_bytes = 2 * kMoreThanFits;
  return settings;
}

std::string with_body(std::string_view method, std::size_t size) {
  return std::string(method) + " /signed HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: " + std::to_string(size) +
         "\r\n\r\n" + std::string(size, 'x');
}

/// All that is left of a body of that size.
bool drop_body(test::RawOrigin& origin, int socket, std::size_t size) {
  std::vector<char> some(std::size_t{1} << 20);
  while (size > 0 && origin.wait_or_stop(socket)) {
    const ssize_t n = ::recv(socket, some.data(), std::min(size, some.size()), 0);
    if (n <= 0) {
      return false;
    }
    size -= static_cast<std::size_t>(n);
  }
  return size == 0;
}

// The time is for the next bytes, not for all of them.
TEST(EarlyAnswer, AHostThatTakesALargeBodySteadilyIsNotCut) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    const int small = 65'536;
    ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    bool more = read_head(self, socket);
    for (std::size_t left = kMoreThanFits; more && left > 0; left -= kMoreThanFits / 64) {
      ::usleep(25'000);
      more = drop_body(self, socket, kMoreThanFits / 64);
    }
    test::RawOrigin::say(socket, kTaken);
    self.wait_or_stop(socket);
  });
  Settings settings = large_bodies();
  settings.body_timeout_ms = 800;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(with_body("POST", kMoreThanFits));
  EXPECT_THAT(client.read_until("{}", 20'000), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(EarlyAnswer, OfAHostThatClosesReachesTheClientAndTheRecord) {
  for (const std::string_view answer : {kNotThisKey, kTooLarge}) {
    test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
      if (read_head(self, socket)) {
        test::RawOrigin::say(socket, answer);  // and closes with the body unread: a reset
      }
    });
    TestPlane plane(origin.endpoint(), large_bodies());
    plane.open_gate();
    test::RawClient client(plane.at);
    for (int i = 1; i <= 3; ++i) {
      client.send(with_body("POST", kMoreThanFits));
      EXPECT_THAT(client.read_until("}"), StartsWith(std::string(answer.substr(0, 13)))) << "the client is kept";
      EXPECT_EQ(origin.connections(), i) << "a connection with half a body on it serves nobody else";
    }
    EXPECT_TRUE(plane.becomes([&] { return plane.audit.lines.size() == 3; }));
    EXPECT_THAT(plane.lines().at(0), AllOf(HasSubstr("\"status\":" + std::string(answer.substr(9, 3))),
                                           HasSubstr(std::string("\"key_guid\":\"") + kTestKey)));
    EXPECT_EQ(plane.counters.key.of(kTestKey, {true, true, true}),
              answer == kNotThisKey ? KeyOutcome::kRefused : KeyOutcome::kTaken);
  }
}

TEST(EarlyAnswer, OfAHostThatReadsNoMoreDoesNotWaitForIt) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (read_head(self, socket)) {
      test::RawOrigin::say(socket, kNotThisKey);
      self.wait_or_stop(-1);
    }
  });
  TestPlane plane(origin.endpoint(), large_bodies());
  plane.open_gate();
  test::RawClient client(plane.at);
  for (int i = 1; i <= 2; ++i) {
    client.send(with_body("POST", kMoreThanFits));
    EXPECT_THAT(client.read_until("}", 5000), StartsWith("HTTP/1.1 401 "));
    EXPECT_EQ(origin.connections(), i);
  }
}

// It gets the rest while its answer is relayed: what it says may depend on that.
TEST(EarlyAnswer, OfAHostThatReadsOnIsNoReasonToStop) {
  for (const std::string_view early :
       {"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{", "HTTP/1.1 102 Processing\r\n\r\n"}) {
    test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
      while (read_head(self, socket)) {
        test::RawOrigin::say(socket, early);
        if (!drop_body(self, socket, kMoreThanFits)) {
          return;
        }
        test::RawOrigin::say(socket, early.ends_with("{") ? "early}" : kTaken);
      }
    });
    TestPlane plane(origin.endpoint(), large_bodies());
    plane.open_gate();
    test::RawClient client(plane.at);
    for (int i = 0; i < 3; ++i) {
      client.send(with_body("POST", kMoreThanFits));
      EXPECT_THAT(client.read_until("}", 10'000), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("}")));
      EXPECT_EQ(origin.connections(), 1) << "nothing was cut";
    }
  }
}

// Nor is one that is there to its last byte, unless it refuses.
TEST(EarlyAnswer, ThatSaysYesIsNotTheEndOfTheBody) {
  for (const std::string line : {"POST /signed", "PUT /vmAgentLog"}) {
    for (const auto& [answer, goes_on] :
         {std::pair(kTaken, true), std::pair(kElsewhere, false), std::pair(kNotThisKey, false)}) {
      std::atomic<bool> said = false;
      std::atomic<int> whole = -1;
      test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
        if (read_head(self, socket)) {
          test::RawOrigin::say(socket, answer);
          said.wait(false);
          whole = drop_body(self, socket, kMoreThanFits) ? 1 : 0;
        }
      });
      TestPlane plane(origin.endpoint(), large_bodies());
      plane.open_gate();
      test::RawClient client(plane.at);
      const std::jthread sender([&client, bytes = line + " HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: " +
                                                  std::to_string(kMoreThanFits) + "\r\n\r\n" +
                                                  std::string(kMoreThanFits, 'x')] { client.send(bytes); });
      EXPECT_THAT(client.read_until("}", 10'000), StartsWith(std::string(answer.substr(0, 12)))) << line;
      // What refuses has cut the body by then.
      EXPECT_TRUE(goes_on || plane.becomes([&] { return plane.audit.lines.size() == 1; })) << line;
      said = true;
      said.notify_one();
      EXPECT_TRUE(plane.becomes([&] { return whole >= 0 && plane.audit.lines.size() == 1; })) << line;
      EXPECT_EQ(whole, goes_on ? 1 : 0) << line;
      EXPECT_EQ(plane.lines().at(0).contains("\"bytes_in\":" + std::to_string(kMoreThanFits)),
                goes_on || line == "POST /signed")
          << line;
    }
  }
}

// What the client got was the answer; the record says that the host did not get the whole request.
TEST(EarlyAnswer, ThatSaysYesToABodyThatBreaksIsRecordedSo) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (read_head(self, socket)) {
      test::RawOrigin::say(socket, kTaken);
      drop_body(self, socket, kMoreThanFits);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  for (const auto& [framing, begin, end, reason] :
       {std::tuple("Content-Length: 1000", "half", "of it", "body_broken"),
        std::tuple("Transfer-Encoding: chunked", "5\r\nhello\r\n", "zz;evil\r\n", "bad_chunk")}) {
    const std::size_t before = plane.lines().size();
    test::RawClient client(plane.at);
    const auto asked = std::chrono::steady_clock::now();
    client.send(std::string("PUT /vmAgentLog HTTP/1.1\r\nHost: metadata.test\r\n") + framing + "\r\n\r\n" + begin);
    EXPECT_THAT(client.read_until("}"), StartsWith("HTTP/1.1 200 "));
    const std::chrono::microseconds answered =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - asked);
    ::usleep(50'000);
    client.send(end);
    client.close();
    EXPECT_TRUE(plane.becomes([&] { return plane.audit.lines.size() > before; }));
    const std::string line = plane.lines().back();
    EXPECT_THAT(line, AllOf(HasSubstr("\"status\":200"), HasSubstr(std::string("\"reason\":\"") + reason)));
    const std::string_view key = "\"duration_us\":";
    EXPECT_LE(std::stoull(line.substr(line.find(key) + key.size())), static_cast<std::uint64_t>(answered.count()))
        << "to the end of the answer";
  }
}

// To HTTP/1.0 the end of the connection is that of the answer: it comes although the client sends no more.
TEST(EarlyAnswer, ThatEndsWithTheConnectionDoesNotWaitForTheBody) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (read_head(self, socket)) {
      test::RawOrigin::say(socket, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
      drop_body(self, socket, kMoreThanFits);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("PUT /vmAgentLog HTTP/1.0\r\nHost: metadata.test\r\nContent-Length: 1000\r\n\r\nhalf of it");
  EXPECT_THAT(client.read_all(), AllOf(StartsWith("HTTP/1.0 200 "), EndsWith("{}")));
  EXPECT_TRUE(client.closed());
}

TEST(EarlyAnswer, ThatAsksForAnotherNonceIsNotTheClients) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (!read_head(self, socket)) {
      return;
    }
    if (self.connections() == 1) {
      test::RawOrigin::say(socket,
                           "HTTP/1.1 401 No\r\nx-ms-openmsp-asks: nonce:00000000000000bb\r\ncontent-length: 0\r\n\r\n");
    } else if (drop_body(self, socket, kMoreThanFits)) {
      test::RawOrigin::say(socket, kTaken);
    }
  });
  TestPlane plane(origin.endpoint(), large_bodies());
  plane.open_gate(Readiness::kSign, nullptr, {.epoch = 0xAA, .caller = false});
  test::RawClient client(plane.at);
  client.send(with_body("POST", kMoreThanFits));
  EXPECT_THAT(client.read_until("}", 10'000), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(origin.log(), HasSubstr("x-ms-openmsp-nonce: 00000000000000bb."));
}

TEST(EarlyAnswer, ThereIsNoneWhereTheHostOnlyClosesOrStalls) {
  std::atomic<bool> stall = false;
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    read_head(self, socket);
    if (stall) {
      self.wait_or_stop(-1);
    }
  });
  Settings settings = large_bodies();
  settings.body_timeout_ms = 300;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  for (const bool stalls : {false, true}) {
    stall = stalls;
    client.send(with_body("POST", kMoreThanFits));
    EXPECT_THAT(client.read_until("}"), AllOf(StartsWith("HTTP/1.1 410 "), HasSubstr("upstream_failed")));
    EXPECT_THAT(plane.lines().back(), Not(HasSubstr("key_guid")));
  }
  EXPECT_EQ(origin.connections(), 2);
}

// As a request without a body: a pooled connection may have died, and only GET and HEAD are asked once more.
TEST(EarlyAnswer, ABodyThatMetAStaleConnectionIsSentAgainOnlyWithAGet) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (read_head(self, socket) && drop_body(self, socket, 10)) {
      test::RawOrigin::say(socket, kTaken);
      read_head(self, socket);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  for (const auto& [method, status] : {std::pair("GET", "200"), std::pair("GET", "200"), std::pair("POST", "410")}) {
    client.send(with_body(method, 10));
    EXPECT_THAT(client.read_until("}"), StartsWith(std::string("HTTP/1.1 ") + status));
  }
  EXPECT_EQ(origin.connections(), 2);
}

}  // namespace
}  // namespace msp::proxy
