// SPDX-License-Identifier: Apache-2.0
// Who connects to the listener itself, and who asks a service for paths that the agent has, too.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/test_plane.h"

namespace msp::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kMetadata = "Metadata: true\r\n";

class Listener : public testing::Test {
 protected:
  Listener() {
    plane_.open_gate();
    direct_ = identity::fake_identity(1000, plane_.at);
    direct_.direct = true;
  }
  /// The answer to one request on a connection of its own.
  std::string ask(const identity::ConnectionIdentity& caller, const std::string& request) {
    plane_.on_loop([&] { plane_.identities.answer = caller; });
    test::RawClient client(plane_.at);
    client.send(request);
    return client.read_until("}", 2000);
  }
  static std::string get(std::string_view path, std::string_view host, std::string_view more = {}) {
    const std::string line = host.empty() ? std::string() : fmt::format("Host: {}\r\n", host);
    return fmt::format("GET {} HTTP/1.1\r\n{}{}{}\r\n", path, line, kMetadata, more);
  }
  std::string here() const { return to_string(plane_.at); }

  test::RawOrigin origin_{[](test::RawOrigin& self, int socket) {
    while (!self.read_request(socket).empty()) {
      test::RawOrigin::say(socket, "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}");
    }
  }};
  TestPlane plane_{origin_.endpoint()};
  identity::ConnectionIdentity direct_;
};

TEST_F(Listener, AnswersByItsOwnNames) {
  const std::string port = fmt::format(":{}", plane_.at.port);
  for (const auto& host : {here(), std::string("127.0.0.1"), std::string("localhost"), "LocalHost" + port}) {
    EXPECT_THAT(ask(direct_, get("/provision", host)), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\"finished\"")))
        << host;
  }
  EXPECT_THAT(ask(direct_, "GET /provision HTTP/1.0\r\nMetadata: true\r\n\r\n"), StartsWith("HTTP/1.0 200 "));
  const auto nobody = identity::unknown_identity(identity::Unknown::kNoRecord);
  EXPECT_THAT(ask(nobody, get("/provision", here())), StartsWith("HTTP/1.1 200 ")) << "no record is needed";
  EXPECT_EQ(origin_.log(), "");
}

TEST_F(Listener, ScreensWhatItAnswersItself) {
  struct Case {
    std::string request;
    std::string_view status;
    std::string_view code;
  };
  for (const auto& caller : {direct_, identity::unknown_identity(identity::Unknown::kNoRecord)}) {
    for (const auto& [request, status, code] : {
             Case{get("/provision", "attacker.example"), "400", "host_foreign"},
             Case{get("/provision", "169.254.169.254"), "400", "host_foreign"},
             Case{get("/provision", "localhost:1"), "400", "host_foreign"},
             Case{get("/provision", ""), "400", "host_missing"},
             Case{get("/provision", here(), "Host: attacker.example\r\n"), "400", "header_repeated"},
             Case{get("/provision", here(), kMetadata), "400", "header_repeated"},
             Case{get("/provision", here(), "Expect: a-gift\r\n"), "417", "expectation_failed"},
             Case{get("/provision", here(), "Connection: metadata\r\n"), "400", "connection_names_header"},
         }) {
      const std::string answer = ask(caller, request);
      EXPECT_THAT(answer, StartsWith(fmt::format("HTTP/1.1 {} ", status))) << request;
      EXPECT_THAT(answer, HasSubstr(fmt::format("\"error\":\"{}\"", code))) << request;
    }
  }
}

TEST_F(Listener, NothingButItsEndpointsIsThere) {
  for (const std::string_view path : {"/metadata/instance", "/provision?a=b", "/Provision", "/provision/"}) {
    EXPECT_THAT(ask(direct_, get(path, here())), AllOf(StartsWith("HTTP/1.1 421 "), HasSubstr("direct_connection")));
  }
  for (const std::string_view path : {"//provision", "/%2e%2e/provision"}) {
    EXPECT_THAT(ask(direct_, get(path, here())), AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("path_traversal")));
  }
  EXPECT_THAT(ask(direct_, get("/metadata/instance", "169.254.169.254")), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(origin_.log(), "");
}

TEST_F(Listener, OnARedirectedConnectionItsPathsAreThoseOfTheService) {
  const auto redirected = identity::fake_identity(1000, origin_.endpoint());
  for (const std::string path : {"/provision", "/gpa-aggregated-status"}) {
    EXPECT_THAT(ask(redirected, get(path, "metadata.test")),
                AllOf(StartsWith("HTTP/1.1 404 "), HasSubstr("x-ms-azure-host-authorization: value")));
    EXPECT_THAT(origin_.log(), HasSubstr("GET " + path + " HTTP/1.1\r\n"));
  }
  EXPECT_THAT(origin_.log(), HasSubstr("x-ms-azure-host-authorization: Azure-HMAC-SHA256 ")) << "and signed";
  const auto elsewhere = identity::fake_identity(1000, {{127, 0, 0, 77}, 80});
  EXPECT_THAT(ask(elsewhere, get("/provision", here())), AllOf(StartsWith("HTTP/1.1 421 "), HasSubstr("unknown_dest")));
}

}  // namespace
}  // namespace msp::proxy
