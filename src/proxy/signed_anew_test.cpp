// SPDX-License-Identifier: Apache-2.0
// A request that the host refuses since it asks for something else than what was signed: once more, with that.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "proxy/test_plane.h"

namespace msp::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Asks for nonces of another epoch than those of 0xAA.
constexpr std::string_view kStale =
    "HTTP/1.1 401 Unauthorized\r\nx-ms-openmsp-asks: nonce:00000000000000bb\r\ncontent-length: 0\r\n\r\n";

/// Refuses the first request as stale when it is told to; then goes on as `after` says.
class HeldRefusal {
 public:
  test::RawOrigin::Script then(test::RawOrigin::Script after) {
    return [this, after = std::move(after)](test::RawOrigin& self, int socket) {
      self.read_request(socket);
      asked_ = true;
      go_.wait(false);
      test::RawOrigin::say(socket, kStale);
      after(self, socket);
    };
  }
  bool asked() const { return asked_; }
  void let_go() {
    go_ = true;
    go_.notify_all();
  }

 private:
  std::atomic<bool> asked_ = false;
  std::atomic<bool> go_ = false;
};

// A host that was started again refuses nonces of before, and says so: the client notices nothing, whatever it sent.
TEST(SignedAnew, ARequestIsSignedAnewForAHostThatWasStartedAgain) {
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    for (std::string request = self.read_request(socket); !request.empty(); request = self.read_request(socket)) {
      const bool fresh = request.contains("x-ms-openmsp-nonce: 00000000000000bb.");
      test::RawOrigin::say(socket, fresh ? kOk : kStale);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate(Readiness::kSign, nullptr, {.epoch = 0xAA, .caller = true});
  test::RawClient client(plane.at);
  client.send("POST /p HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  client.send(get("/second"));
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  const std::string seen = origin.log();
  EXPECT_THAT(seen, HasSubstr("x-ms-openmsp-nonce: 00000000000000aa.0000000000000007.1\r\n"));
  EXPECT_THAT(seen, HasSubstr("x-ms-openmsp-nonce: 00000000000000bb.0000000000000007.2\r\n"));
  EXPECT_THAT(seen, HasSubstr("x-ms-openmsp-nonce: 00000000000000bb.0000000000000007.3\r\n"));
  EXPECT_THAT(seen, HasSubstr("x-ms-openmsp-caller: uid=1000 "));
  EXPECT_EQ(plane.lines().size(), 2U);
}

// What the host has ceased to ask for is not said again, neither to it nor in what is signed.
TEST(SignedAnew, ARequestThatIsSignedAnewSaysOnlyWhatTheHostStillAsksFor) {
  HeldRefusal held;
  test::RawOrigin origin(held.then(always(kOk)));
  TestPlane plane(origin.endpoint());
  plane.open_gate(Readiness::kSign, nullptr, {.epoch = 0xAA, .caller = true});
  test::RawClient client(plane.at);
  client.send(get("/"));
  EXPECT_TRUE(plane.becomes([&] { return held.asked(); }));
  const std::string first = origin.log();
  EXPECT_THAT(first, HasSubstr("x-ms-openmsp-caller: "));
  plane.open_gate(Readiness::kSign, nullptr, {.epoch = 0xAA, .caller = false});
  held.let_go();
  client.read_until("\r\n\r\n");
  const std::string second = origin.log().substr(first.size());
  EXPECT_THAT(second, HasSubstr("x-ms-openmsp-nonce: 00000000000000bb."));
  EXPECT_THAT(second, Not(HasSubstr("x-ms-openmsp-caller")));
}

// The key's name in the record is of what has left: it outlives the gate that it came from.
TEST(SignedAnew, WhatCannotBeSignedAnewIsAuditedWithTheKeyThatItLeftWith) {
  constexpr const char* kSecond = "22222222-2f0e-4d0b-9a63-1b7de2a4c8f7";
  HeldRefusal held;
  test::RawOrigin origin(held.then([](test::RawOrigin&, int) {}));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("POST /slow HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 5\r\n\r\nhel");
  EXPECT_TRUE(plane.becomes([&] { return plane.counters.requests == 1; }));
  plane.open_gate(Readiness::kSign, nullptr, {.epoch = 0xAA, .caller = false}, kSecond);
  client.send("lo");
  EXPECT_TRUE(plane.becomes([&] { return held.asked(); }));
  plane.open_gate(Readiness::kUnsigned);
  held.let_go();
  EXPECT_THAT(client.read_until("}"), HasSubstr("upstream_failed"));
  EXPECT_THAT(plane.lines().at(0), HasSubstr(std::string("\"key_guid\":\"") + kSecond));
}

// All that were under way are signed anew, not only the one that is refused first.
TEST(SignedAnew, RequestsThatWereUnderWayTogetherAreAllSignedAnew) {
  constexpr unsigned kTogether = 3;
  std::atomic<unsigned> stale = 0;
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    for (std::string request = self.read_request(socket); !request.empty(); request = self.read_request(socket)) {
      if (request.contains("x-ms-openmsp-nonce: 00000000000000bb.")) {
        test::RawOrigin::say(socket, kOk);
        continue;
      }
      ++stale;
      for (int i = 0; i < 500 && stale < kTogether; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      test::RawOrigin::say(socket, kStale);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate(Readiness::kSign, nullptr, {.epoch = 0xAA, .caller = false});
  std::vector<std::unique_ptr<test::RawClient>> clients;
  for (unsigned i = 0; i < kTogether; ++i) {
    clients.push_back(std::make_unique<test::RawClient>(plane.at));
    clients.back()->send(get("/a"));
  }
  for (const auto& client : clients) {
    EXPECT_THAT(client->read_until("hello"), StartsWith("HTTP/1.1 200 "));
  }
  EXPECT_EQ(stale, kTogether);
}

// It may bring another epoch, once; not talk the agent out of nonces, nor send it round for ever.
TEST(SignedAnew, ARefusalCannotTakeNoncesAwayNorKeepTheAgentBusy) {
  std::atomic<unsigned> asked = 0;
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    while (!self.read_request(socket).empty()) {
      const std::string asks = asked++ < 3 ? "caller" : fmt::format("nonce:{:016x}", 1000 + asked);
      test::RawOrigin::say(socket,
                           "HTTP/1.1 401 Unauthorized\r\nx-ms-openmsp-asks: " + asks + "\r\ncontent-length: 0\r\n\r\n");
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate(Readiness::kSign, nullptr, {.epoch = 0xAA, .caller = false});
  test::RawClient client(plane.at);
  for (int i = 0; i < 3; ++i) {
    client.send(get("/a"));
    EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 401 "));
  }
  EXPECT_EQ(asked, 3U) << "nothing was learnt: nothing was asked again";
  EXPECT_THAT(origin.log(), HasSubstr("x-ms-openmsp-nonce: 00000000000000aa.0000000000000007.3\r\n"));
  EXPECT_THAT(origin.log(), Not(HasSubstr("x-ms-openmsp-caller")));
  client.send(get("/b"));
  EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 401 "));
  EXPECT_EQ(asked, 5U) << "once more with what was learnt, and no more";
}

}  // namespace
}  // namespace msp::proxy
