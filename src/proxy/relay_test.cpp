// SPDX-License-Identifier: Apache-2.0
// Answers of the host on their way to the client, and what becomes of the connection that they came on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/test_plane.h"

namespace msp::proxy {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Answers every request with the same bytes, keep-alive.
test::RawOrigin::Script always(std::string answer) {
  return [answer = std::move(answer)](test::RawOrigin& origin, int socket) {
    while (!origin.read_request(socket).empty()) {
      test::RawOrigin::say(socket, answer);
    }
  };
}

std::string get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: metadata.test\r\n\r\n"; }

TEST(Relay, TrailersAreDroppedAndTheAnswerIsWhole) {
  test::RawOrigin origin(
      always("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
             "Date: x\r\nvia: y\r\nx-ms-request-id: 1\r\n\r\n"));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  for (int i = 0; i < 2; ++i) {
    client.send(get("/"));
    EXPECT_THAT(client.read_until("\r\n0\r\n\r\n"), EndsWith("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
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

}  // namespace
}  // namespace msp::proxy
