// SPDX-License-Identifier: Apache-2.0
// What rules let pass and the host refuses: relayed as it is, not counted as served, and told in the host's own words.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>

#include "proxy/test_plane.h"

namespace msp::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string answer(std::string_view status, std::string_view body, bool chunked = false) {
  return chunked ? fmt::format("HTTP/1.1 {}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n", status,
                               body.size(), body)
                 : fmt::format("HTTP/1.1 {}\r\ncontent-length: {}\r\n\r\n{}", status, body.size(), body);
}

class HostRefusal : public testing::Test {
 protected:
  /// The audit line of one request that the host answers so.
  std::string line_of(const std::string& host_says, const std::string& ends_with) {
    test::RawOrigin origin([&](test::RawOrigin& from, int socket) {
      while (!from.read_request(socket).empty()) {
        test::RawOrigin::say(socket, host_says);
      }
    });
    TestPlane plane(origin.endpoint());
    plane.open_gate();
    test::RawClient client(plane.at);
    client.send("GET /metadata/instance HTTP/1.1\r\nHost: metadata.test\r\n\r\n");
    EXPECT_THAT(client.read_until(ends_with), HasSubstr(ends_with));
    std::vector<std::string> lines;
    for (int i = 0; i < 500 && lines.empty(); ++i) {
      lines = plane.lines();
    }
    served = plane.counters.served;
    refused = plane.counters.host_refused;
    return lines.empty() ? std::string() : lines.front();
  }
  std::uint64_t served = 0;
  std::uint64_t refused = 0;
};

constexpr std::string_view kBody =
    R"({"error":"stale_date","error_description":"too far","request_id":"5b1e4d578a90-00000000002a"})";

TEST_F(HostRefusal, IsCountedAndToldInTheHostsWords) {
  for (const bool chunked : {false, true}) {
    const std::string line = line_of(answer("401 Unauthorized", kBody, chunked), "2a\"}");
    EXPECT_THAT(line, HasSubstr(R"("decision":"permit","status":401)"));
    EXPECT_THAT(line, HasSubstr(R"("host_code":"stale_date","host_request_id":"5b1e4d578a90-00000000002a")"));
    EXPECT_EQ(served, 0U);
    EXPECT_EQ(refused, 1U);
  }
}

TEST_F(HostRefusal, OfAnotherFormIsCountedAndHasNoWords) {
  const std::string line = line_of(answer("403 Forbidden", "<html>no</html>"), "</html>");
  EXPECT_THAT(line, HasSubstr("\"status\":403"));
  EXPECT_THAT(line, Not(HasSubstr("host_code")));
  EXPECT_EQ(refused, 1U);
  const std::string large(std::size_t{200} << 10, 'x');
  EXPECT_THAT(line_of(answer("403 Forbidden", large + "END"), "xEND"), Not(HasSubstr("host_code")));
  EXPECT_EQ(refused, 1U);
}

TEST_F(HostRefusal, WhatIsAboutTheQuestionIsServed) {
  const std::string line = line_of(answer("404 Not Found", R"({"error":"not_found","request_id":"1"})"), "\"1\"}");
  EXPECT_THAT(line, Not(HasSubstr("host_code")));
  EXPECT_EQ(served, 1U);
  EXPECT_EQ(refused, 0U);
}

// What is only audited at the host takes any signature, and says nothing where another service has refused.
TEST(KeyOutcomes, ARefusalStandsUntilAServiceThatVerifiesTakesTheKey) {
  KeyOutcomes outcomes;
  const std::array<bool, kServiceCount> imds_alone{true, false, false};
  const std::array<bool, kServiceCount> all{true, true, true};
  const auto of = [&](const char* key) { return outcomes.of(key, imds_alone); };
  EXPECT_EQ(of("a"), KeyOutcome::kUnknown);
  outcomes.note(Service::kWireServer, "a", KeyOutcome::kTaken, 1'000);
  EXPECT_EQ(of("a"), KeyOutcome::kTaken);
  outcomes.note(Service::kImds, "a", KeyOutcome::kRefused, 2'000);
  outcomes.note(Service::kWireServer, "a", KeyOutcome::kTaken, 3'000);
  outcomes.note(Service::kHostGaPlugin, "a", KeyOutcome::kTaken, 4'000);
  EXPECT_EQ(of("a"), KeyOutcome::kRefused);
  EXPECT_EQ(outcomes.of("a", all), KeyOutcome::kTaken) << "where they verify, they are as good";
  EXPECT_EQ(of("b"), KeyOutcome::kUnknown) << "nothing was signed with this one";
  outcomes.note(Service::kImds, "a", KeyOutcome::kTaken, 5'000);
  EXPECT_EQ(of("a"), KeyOutcome::kTaken);
  outcomes.note(Service::kHostGaPlugin, "a", KeyOutcome::kRefused, 6'000);
  EXPECT_EQ(of("a"), KeyOutcome::kRefused);
  outcomes.note(Service::kImds, "a", KeyOutcome::kTaken, 7'000);
  EXPECT_EQ(of("a"), KeyOutcome::kTaken) << "who has refused may never be asked again";
  outcomes.note(Service::kHostGaPlugin, "a", KeyOutcome::kRefused, 8'000);
  EXPECT_EQ(outcomes.of("a", all), KeyOutcome::kRefused);
  outcomes.forget();
  EXPECT_EQ(of("a"), KeyOutcome::kUnknown);
}

TEST(KeyOutcomes, SignedRequestsThatTheHostJudgesByTheKeyTell) {
  std::mutex mutex;
  std::string says;  // the origin has a thread of its own
  test::RawOrigin origin([&](test::RawOrigin& from, int socket) {
    while (!from.read_request(socket).empty()) {
      const std::lock_guard lock(mutex);
      test::RawOrigin::say(socket, says);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  const std::string exempt = "POST /machine/?comp=telemetrydata";
  const auto after = [&](const std::string& asked, std::string answered) {
    {
      const std::lock_guard lock(mutex);
      says = std::move(answered);
    }
    client.send(asked + " HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 0\r\n\r\n");
    EXPECT_THAT(client.read_until("#"), HasSubstr("#"));
    plane.on_loop([] {});  // it is counted after the last byte
    return plane.counters.key.of(kTestKey, {true, true, true});
  };
  const auto refused = [](std::string_view code) {
    return answer("401 Unauthorized", fmt::format(R"({{"error":"{}","pad":"#"}})", code));
  };
  EXPECT_EQ(after(exempt, answer("200 OK", "#")), KeyOutcome::kUnknown) << "it went unsigned";
  EXPECT_EQ(after("GET /", answer("503 Busy", "#")), KeyOutcome::kUnknown);
  EXPECT_EQ(after("GET /", refused("stale_date")), KeyOutcome::kUnknown);
  EXPECT_EQ(after("GET /", answer("404 Not Found", "#")), KeyOutcome::kTaken);
  EXPECT_EQ(after("GET /", refused("unknown_key")), KeyOutcome::kRefused);
  EXPECT_EQ(after("GET /", answer("200 OK", "#")), KeyOutcome::kTaken) << "what was said before is not said again";
  EXPECT_EQ(after("GET /", refused("key_ended")), KeyOutcome::kRefused);
  EXPECT_EQ(after(exempt, answer("200 OK", "#")), KeyOutcome::kRefused);
  EXPECT_EQ(after("GET /", refused("stale_date")), KeyOutcome::kRefused);
  EXPECT_EQ(after("GET /", answer("200 OK", "#")), KeyOutcome::kTaken);
  EXPECT_EQ(after("GET /", refused("bad_signature")), KeyOutcome::kRefused);
  plane.open_gate();
  EXPECT_EQ(plane.counters.key.of(kTestKey, {true, true, true}), KeyOutcome::kUnknown) << "its bytes may be others now";
}

// The host ends a key while requests that it has signed are under way: their refusals say nothing of the next.
TEST(KeyOutcomes, WhatIsSaidOfTheKeyBeforeIsNotSaidOfTheNext) {
  std::atomic<bool> asked = false;
  std::atomic<bool> go = false;
  test::RawOrigin origin([&](test::RawOrigin& from, int socket) {
    from.read_request(socket);
    asked = true;
    go.wait(false);
    test::RawOrigin::say(socket, answer("401 Unauthorized", R"({"error":"key_ended","pad":"#"})"));
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("GET / HTTP/1.1\r\nHost: metadata.test\r\n\r\n");
  for (int i = 0; i < 1000 && !asked; ++i) {
    ::usleep(5'000);
  }
  constexpr const char* kNext = "11111111-2f0e-4d0b-9a63-1b7de2a4c8f7";
  plane.open_gate(Readiness::kSign, nullptr, {}, kNext);
  go = true;
  go.notify_one();
  EXPECT_THAT(client.read_until("#"), HasSubstr("key_ended"));
  plane.on_loop([] {});
  EXPECT_EQ(plane.counters.key.of(kTestKey, {true, true, true}), KeyOutcome::kUnknown);
  EXPECT_EQ(plane.counters.key.of(kNext, {true, true, true}), KeyOutcome::kUnknown);
}

// Only 401 may say that a nonce was the wrong one. Whatever else the host answers, it has done, and is not asked again.
TEST(HostsEpoch, IsTakenFromNoOtherRefusalThanThatOfASignature) {
  std::atomic<int> asked = 0;
  std::atomic<int> status = 0;
  test::RawOrigin origin([&](test::RawOrigin& self, int socket) {
    while (!self.read_request(socket).empty()) {
      ++asked;
      test::RawOrigin::say(
          socket, fmt::format("HTTP/1.1 {} No\r\nx-ms-openmsp-asks: nonce:{:016x}\r\ncontent-length: 2\r\n\r\n{{}}",
                              status.load(), 1000 + asked));
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate(Readiness::kSign, nullptr, {.epoch = 0xAA, .caller = false});
  test::RawClient client(plane.at);
  int sent = 0;
  for (const int says : {400, 402, 403, 404, 407, 409, 410, 429, 500, 502, 503}) {
    status = says;
    for (const std::string method : {"GET", "POST"}) {
      client.send(method + " /once HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 0\r\n\r\n");
      EXPECT_THAT(client.read_until("{}"), HasSubstr(fmt::format("HTTP/1.1 {} No\r\n", says)));
      EXPECT_EQ(asked, ++sent) << method << says;
    }
  }
  EXPECT_THAT(origin.log(), Not(HasSubstr("x-ms-openmsp-nonce: 00000000000003")));
}

}  // namespace
}  // namespace msp::proxy
