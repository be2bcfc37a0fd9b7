// SPDX-License-Identifier: Apache-2.0
#include "proxy/data_plane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "proxy/test_plane.h"
#include "tests/support/log_lines.h"

namespace msp::proxy {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kPlainText = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";

TEST(DataPlane, EndorsesWhatIsAllowed) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/metadata/instance?api-version=2021-02-01", "Metadata: true\r\n"));
  const std::string answer = client.read_until("hello");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("x-ms-azure-host-authorization: value\r\n"));
  const std::string seen = origin.log();
  EXPECT_THAT(seen, StartsWith("GET /metadata/instance?api-version=2021-02-01 HTTP/1.1\r\nhost: metadata.test\r\n"));
  EXPECT_THAT(seen, HasSubstr("x-ms-azure-host-claims: { \"isRoot\": \"false\"}\r\n"));
  EXPECT_THAT(seen,
              HasSubstr("x-ms-azure-host-authorization: Azure-HMAC-SHA256 5c0f6a52-2f0e-4d0b-9a63-1b7de2a4c8f7 "));
  const auto lines = plane.lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], HasSubstr("\"decision\":\"permit\""));
}

TEST(DataPlane, StripsHeadersThatAreOursAlone) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/a",
                  "X-MS-Azure-Host-Claims: { \"isRoot\": \"true\"}\r\n"
                  "x-ms-azure-host-authorization: Azure-HMAC-SHA256 forged forged\r\n"));
  client.read_until("hello");
  EXPECT_THAT(origin.log(), Not(HasSubstr("forged")));
  EXPECT_THAT(origin.log(), Not(HasSubstr("\"true\"")));
  EXPECT_THAT(plane.lines().at(0), HasSubstr("\"stripped\":true"));
  EXPECT_EQ(plane.counters.stripped, 1U) << "requests, not headers";
}

TEST(DataPlane, KeepsConnectionsAndPipelines) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/1") + get("/2") + get("/3"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 OK\r\n"));
  }
  EXPECT_EQ(origin.connections(), 1);
  EXPECT_EQ(plane.lines().size(), 3U);
}

TEST(DataPlane, RefusesWhatNobodyMade) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  plane.on_loop([&] { plane.identities.answer = identity::unknown_identity(identity::Unknown::kNoRecord); });
  test::RawClient client(plane.at);
  client.send(get("/a"));
  const std::string answer = client.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 421 "));
  EXPECT_THAT(answer, HasSubstr("{\"error\":\"no_identity\""));
  EXPECT_THAT(answer, HasSubstr("connection: close\r\n"));
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(origin.log(), "");
}

// The client is told that nobody knows it; why, only the log can say.
TEST(DataPlane, WhyNobodyCouldBeAskedWhoItIsIsLogged) {
  const test::LogLines said;
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  plane.on_loop([&] {
    plane.identities.error =
        Error{.source = Source::kKernel, .message = "the map of records cannot be read", .hint = {}, .code = 0};
  });
  test::RawClient client(plane.at);
  client.send(get("/"));
  EXPECT_THAT(client.read_until("}"), StartsWith("HTTP/1.1 421 "));
  EXPECT_THAT(said.text(), HasSubstr("the map of records cannot be read"));
  EXPECT_EQ(origin.log(), "");
}

TEST(DataPlane, HoldsThenRefusesWhileNotReady) {
  test::RawOrigin origin(always(kPlainText));
  Settings settings;
  settings.not_ready_hold_ms = 100;
  TestPlane plane(origin.endpoint(), settings);
  test::RawClient client(plane.at);
  client.send(get("/a"));
  const std::string answer = client.read_until("}");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 410 "));
  EXPECT_THAT(answer, HasSubstr("retry-after: 1\r\n"));
  EXPECT_THAT(answer, HasSubstr("\"error\":\"not_ready\""));
  plane.open_gate();
  client.send(get("/a"));
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
}

TEST(DataPlane, ServesAHeldRequestAsSoonAsTheGateOpens) {
  test::RawOrigin origin(always(kPlainText));
  Settings settings;
  settings.not_ready_hold_ms = 20'000;
  TestPlane plane(origin.endpoint(), settings);
  test::RawClient client(plane.at);
  client.send(get("/a"));
  ::usleep(50'000);
  plane.open_gate();
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
}

TEST(DataPlane, ForwardsUnsignedWhereTheChannelIsDisabled) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate(Readiness::kUnsigned);
  test::RawClient client(plane.at);
  client.send(get("/a"));
  client.read_until("hello");
  EXPECT_THAT(origin.log(), HasSubstr("x-ms-azure-host-claims"));
  EXPECT_THAT(origin.log(), Not(HasSubstr("authorization")));
}

TEST(DataPlane, CollectsAndFramesBodiesAnew) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("POST /a HTTP/1.1\r\nHost: metadata.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n");
  ::usleep(20'000);
  client.send("5\r\npedia\r\n0\r\nX-Trailer: dropped\r\n\r\n");
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(origin.log(), HasSubstr("content-length: 9\r\n"));
  EXPECT_THAT(origin.log(), testing::EndsWith("\r\n\r\nWikipedia"));
  EXPECT_THAT(origin.log(), Not(HasSubstr("transfer-encoding")));
}

TEST(DataPlane, RefusesBodiesAboveTheLimitWhetherAnnouncedOrNot) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient announced(plane.at);
  announced.send("POST /a HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 102401\r\n\r\n");
  EXPECT_THAT(announced.read_all(), StartsWith("HTTP/1.1 413 "));
  test::RawClient chunked(plane.at);
  chunked.send("POST /a HTTP/1.1\r\nHost: metadata.test\r\nTransfer-Encoding: chunked\r\n\r\n19001\r\n" +
               std::string(102401, 'x'));
  EXPECT_THAT(chunked.read_all(), StartsWith("HTTP/1.1 413 "));
  test::RawClient fits(plane.at);
  fits.send("POST /a HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 102400\r\n\r\n" + std::string(102400, 'x'));
  EXPECT_THAT(fits.read_until("hello"), StartsWith("HTTP/1.1 200 "));
}

TEST(DataPlane, AnswersExpectationsItself) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("POST /a HTTP/1.1\r\nHost: metadata.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(origin.log(), Not(HasSubstr("expect")));
}

TEST(DataPlane, RelaysChunkedHeadAndEmptyAnswers) {
  int round = 0;
  test::RawOrigin origin([&round](test::RawOrigin& self, int socket) {
    const char* answers[] = {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                             "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
                             "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 304 Not Modified\r\netag: y\r\n\r\n"};
    while (!self.read_request(socket).empty()) {
      test::RawOrigin::say(socket, answers[round++]);
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/chunked"));
  const std::string chunked = client.read_until("0\r\n\r\n");
  EXPECT_THAT(chunked, HasSubstr("transfer-encoding: chunked\r\n"));
  client.send("HEAD /head HTTP/1.1\r\nHost: metadata.test\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("content-length: 1000\r\n"));
  client.send(get("/none"));
  EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 204 "));
  client.send(get("/same"));
  const std::string same = client.read_until("\r\n\r\n");
  EXPECT_THAT(same, StartsWith("HTTP/1.1 304 "));
  EXPECT_THAT(same, Not(HasSubstr("103")));
  EXPECT_EQ(origin.connections(), 1);
}

TEST(DataPlane, WhatTheHostsConnectionNamesStaysBehind) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    while (!self.read_request(socket).empty()) {
      test::RawOrigin::say(socket,
                           "HTTP/1.1 200 OK\r\nX-Hop: 1\r\nx-end: 2\r\ncontent-length: 5\r\nkeep-alive: timeout=9\r\n"
                           "Connection: x-hop, keep-alive\r\nconnection: Content-Length\r\n\r\nhello");
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  for (int i = 0; i < 2; ++i) {
    client.send(get("/"));
    const std::string answer = client.read_until("hello");
    EXPECT_THAT(answer,
                AllOf(HasSubstr("x-end: 2\r\n"), HasSubstr("content-length: 5\r\n"), EndsWith("\r\n\r\nhello")));
    EXPECT_THAT(answer, AllOf(Not(HasSubstr("X-Hop")), Not(HasSubstr("onnection")), Not(HasSubstr("keep-alive"))));
  }
}

TEST(DataPlane, RelaysAnswersThatEndWithTheConnection) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (self.read_request(socket).starts_with("GET /end")) {
      test::RawOrigin::say(socket, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
      return;
    }
    test::RawOrigin::say(socket, kPlainText);
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/end"));
  EXPECT_THAT(client.read_until("\r\n0\r\n\r\n"), HasSubstr("\r\nd\r\nuntil the end\r\n0\r\n\r\n"));
  client.send(get("/next"));
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
}

TEST(DataPlane, RetriesAStalePooledConnectionOnce) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    if (!self.read_request(socket).empty()) {
      test::RawOrigin::say(socket, kPlainText);
      self.read_request(socket);  // takes the next request on this connection and closes without an answer
    }
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/1"));
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  client.send(get("/2"));
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(origin.connections(), 2);
  client.send("POST /3 HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_THAT(client.read_until("}"), StartsWith("HTTP/1.1 410 "));
}

TEST(DataPlane, CutsTheClientWhenAnAnswerBreaksOff) {
  test::RawOrigin origin([](test::RawOrigin& self, int socket) {
    self.read_request(socket);
    test::RawOrigin::say(socket, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
  });
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/1"));
  EXPECT_THAT(client.read_all(), testing::EndsWith("half"));
  EXPECT_TRUE(client.closed());
  EXPECT_THAT(plane.lines().at(0), HasSubstr("upstream_broken"));
}

TEST(DataPlane, TellsThatTheServiceIsDown) {
  Ipv4Endpoint gone;
  {
    test::RawOrigin origin(always(kPlainText));
    gone = origin.endpoint();
  }
  TestPlane plane(gone);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/1"));
  const std::string answer = client.read_until("}");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 410 "));
  EXPECT_THAT(answer, HasSubstr("upstream_failed"));
}

TEST(DataPlane, SlowHeadsAreTimedOut) {
  test::RawOrigin origin(always(kPlainText));
  Settings settings;
  settings.head_timeout_ms = 100;
  settings.body_timeout_ms = 100;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("GET /1 HT");
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 408 "));
  test::RawClient body(plane.at);
  body.send("POST /1 HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 10\r\n\r\nabc");
  const std::string answer = body.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(answer, HasSubstr("body_timeout"));
}

TEST(DataPlane, BoundsTheConnectionsOfOneUserAndOfAll) {
  test::RawOrigin origin(always(kPlainText));
  Settings settings;
  settings.max_connections_per_user = 2;
  settings.max_connections = 3;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  std::vector<std::unique_ptr<test::RawClient>> clients;
  const auto connect = [&] {
    clients.push_back(std::make_unique<test::RawClient>(plane.at));
    clients.back()->send(get("/1"));
    return clients.back()->read_until("\r\n\r\n").substr(0, 12);
  };
  EXPECT_EQ(connect(), "HTTP/1.1 200");
  EXPECT_EQ(connect(), "HTTP/1.1 200");
  EXPECT_EQ(connect(), "HTTP/1.1 429");
  clients.back()->close();
  plane.on_loop([&] { plane.identities.answer = identity::fake_identity(0, origin.endpoint()); });
  ::usleep(50'000);
  EXPECT_EQ(connect(), "HTTP/1.1 200");
  EXPECT_EQ(connect(), "HTTP/1.1 503");
  clients.front()->close();
  clients.back()->close();
  ::usleep(50'000);
  EXPECT_EQ(connect(), "HTTP/1.1 200");
}

TEST(DataPlane, AnswersOldClientsInTheirVersion) {
  test::RawOrigin origin(always("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("GET /1 HTTP/1.0\r\n\r\n");
  const std::string answer = client.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.0 200 "));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\nhello"));
  EXPECT_THAT(origin.log(), StartsWith("GET /1 HTTP/1.1\r\nhost: 127.0.0.2\r\n"));
}

// The gate closes while a body arrives: what came behind it is still the next request, from its first byte.
TEST(DataPlane, AGateThatClosesDuringABodyKeepsTheNextRequestWhole) {
  test::RawOrigin origin(always(kPlainText));
  Settings settings;
  settings.not_ready_hold_ms = 50;
  TestPlane plane(origin.endpoint(), settings);
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send("POST /slow HTTP/1.1\r\nHost: metadata.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
  EXPECT_EQ(client.read_until("never", 100), "");
  plane.open_gate(Readiness::kNotReady);
  client.send("lo\r\n0\r\n\r\n" + get("/second") + "GET /third HT");
  EXPECT_THAT(client.read_until("}"), HasSubstr("\"not_ready\""));
  EXPECT_THAT(client.read_until("}"), HasSubstr("\"not_ready\"")) << "the second request is answered";
  plane.open_gate();
  client.send("TP/1.1\r\nHost: metadata.test\r\n\r\n");
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 ")) << "and the third one was not torn";
  EXPECT_THAT(origin.log(), Not(HasSubstr("/second")));
  EXPECT_EQ(plane.lines().size(), 3U);
}

std::shared_ptr<const policy::Snapshot> rules_named(const std::string& id) {
  RuleItem item{.default_access = "deny", .mode = "enforce", .id = id, .rules = RuleSections()};
  item.rules->privileges = {{{.name = id + "-privilege", .path = "/slow", .query_parameters = {}}}};
  item.rules->roles = {{{.name = id + "-role", .privileges = {id + "-privilege"}}}};
  RuleIdentity everybody;
  everybody.name = id + "-identity";
  item.rules->identities = {{everybody}};
  item.rules->role_assignments = {{{.role = id + "-role", .identities = {everybody.name}}}};
  policy::Snapshot out;
  out.rules[0] = policy::RuleSet::compile(item, out.matching);
  return std::make_shared<const policy::Snapshot>(std::move(out));
}

// Names in the record are views into the rules that decided: they must outlive them (seen by the address sanitizer).
TEST(DataPlane, RulesThatAreReplacedDuringABodyAreStillThoseThatDecided) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  const std::string first = "rules-that-decided-with-a-name-too-long-to-be-stored-in-place";
  plane.open_gate(Readiness::kSign, rules_named(first));
  test::RawClient client(plane.at);
  client.send("POST /slow HTTP/1.1\r\nHost: metadata.test\r\nContent-Length: 5\r\n\r\nhel");
  EXPECT_EQ(client.read_until("never", 100), "");
  plane.open_gate(Readiness::kSign, rules_named("other-rules-with-a-name-that-is-just-as-long-as-the-first-has"));
  client.send("lo");
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(plane.lines().at(0), HasSubstr("\"privilege\":\"" + first + "-privilege\""));
  EXPECT_THAT(plane.lines().at(0), HasSubstr("key_guid"));
}

// protocol.md D.5: a guest whose clock is wrong signs what its host accepts, and dates its own answers alike.
TEST(DataPlane, SignsWithTheHostsTimeWhereItIsKnown) {
  constexpr std::int64_t kHostsS = 1'000'000'000;
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/by-our-clock"));
  EXPECT_THAT(client.read_until("hello"), Not(HasSubstr(" 2001 ")));
  EXPECT_THAT(origin.log(), Not(HasSubstr(" 2001 ")));
  plane.on_loop([&] { plane.host_time_offset_ms = kHostsS * 1000 - static_cast<std::int64_t>(plane.loop.now()); });
  plane.open_gate();
  client.send(get("/by-the-hosts"));
  EXPECT_THAT(client.read_until("hello"), HasSubstr("date: Sun, 09 Sep 2001 01:"));
  EXPECT_THAT(origin.log(), HasSubstr("x-ms-azure-host-date: Sun, 09 Sep 2001 01:"));
}

TEST(DataPlane, WhatIsRefusedAfterThePermitIsAuditedAsRefused) {
  test::RawOrigin origin(always(kPlainText));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  const std::string head = "POST /p HTTP/1.1\r\nHost: metadata.test\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const auto& [body, reason] :
       {std::pair("5;a=b\r\nhello\r\n0\r\n\r\n", "bad_chunk"),
        std::pair("5\r\nhello\r\n0\r\nx-ms-azure-host-claims: a\r\n\r\n", "bad_trailer")}) {
    test::RawClient client(plane.at);
    client.send(head + body);
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 400 "));
    const std::string line = plane.lines().back();
    EXPECT_THAT(line, HasSubstr("\"decision\":\"deny\""));
    EXPECT_THAT(line, HasSubstr(std::string("\"reason\":\"") + reason));
    EXPECT_THAT(line, Not(HasSubstr("key_guid"))) << "nothing was sent with a key";
  }
  test::RawClient client(plane.at);
  client.send(head + "5\r\nhello\r\n0\r\n\r\n");
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(plane.lines().back(), HasSubstr("\"decision\":\"permit\""));
  EXPECT_THAT(plane.lines().back(), HasSubstr("key_guid"));
}

TEST(DataPlane, AMalformedAnswerIsNotCalledSilence) {
  test::RawOrigin origin(always("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello"));
  TestPlane plane(origin.endpoint());
  plane.open_gate();
  test::RawClient client(plane.at);
  client.send(get("/a"));
  EXPECT_THAT(client.read_until("}"), HasSubstr("not well-formed"));
  EXPECT_THAT(plane.lines().at(0), HasSubstr("\"decision\":\"deny\""));
}

}  // namespace
}  // namespace msp::proxy
