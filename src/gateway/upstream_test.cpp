// SPDX-License-Identifier: Apache-2.0
// What a service behind the host is told. The way there is tried by tests/netns/test_upstream.py.
#include "gateway/upstream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/host_request.h"

namespace msp::gateway {
namespace {

using test::ParsedRequest;
using test::RequestText;

std::string head(const RequestText& text, const http::Framing& framing = {}, bool forwarded_for = false) {
  const ParsedRequest parsed(text);
  return Upstream::head_for({.at = {}, .forwarded_for = forwarded_for}, "vm", parsed.request(), framing);
}

TEST(Upstream, TrustedAndForwardedHeadersAreTakenAway) {
  RequestText text;
  text.target = "/a?B=%2f";
  text.header("host", "h").header("X-MS-Azure-Host-Claims", "c").header("x-ms-azure-host-date", "d");
  text.header("x-ms-azure-host-authorization", "a").header("X-OpenMSP-VM-Id", "me").header("Forwarded", "for=me");
  text.header("X-Forwarded-For", "me").header("connection", "close").header("te", "trailers").header("x-mine", "1");
  EXPECT_EQ(head(text),
            "GET /a?B=%2f HTTP/1.1\r\nhost: h\r\nx-mine: 1\r\nx-openmsp-vm-id: vm\r\nconnection: close\r\n\r\n");
  EXPECT_THAT(head(text, {}, true), testing::HasSubstr("x-forwarded-for: 10.0.0.4\r\n"));
}

TEST(Upstream, WhoNamesNoHostAsksTheAddress) {
  RequestText text;
  text.minor = '0';
  EXPECT_EQ(head(text), "GET / HTTP/1.1\r\nhost: 169.254.169.254\r\nx-openmsp-vm-id: vm\r\nconnection: close\r\n\r\n");
  text.header("Host", "h");
  EXPECT_EQ(head(text), "GET / HTTP/1.1\r\nhost: h\r\nx-openmsp-vm-id: vm\r\nconnection: close\r\n\r\n");
}

TEST(Upstream, SpellingsThatOthersTakeForThemAreTakenAway) {
  RequestText text;
  text.header("host", "h").header("X_OpenMSP_VM_Id", "me").header("x-openmsp_vm-id", "me");
  text.header("x_ms_azure_host_claims", "c").header("X_Forwarded_For", "me").header("x-forwarded_host", "me");
  text.header("content_length", "7").header("transfer_encoding", "chunked").header("keep_alive", "1");
  text.header("x_mine", "1").header("forwarded", "for=me");
  EXPECT_EQ(head(text), "GET / HTTP/1.1\r\nhost: h\r\nx_mine: 1\r\nx-openmsp-vm-id: vm\r\nconnection: close\r\n\r\n");
}

TEST(Upstream, TheBodyIsFramedAnew) {
  RequestText text;
  text.method = "PUT";
  text.body = "abc";
  text.header("host", "h").header("transfer-encoding", "chunked");
  EXPECT_THAT(head(text, {.kind = http::BodyKind::kChunked}), testing::HasSubstr("content-length: 3\r\n"))
      << "what was collected has a length";
  text.body.clear();
  EXPECT_THAT(head(text, {.kind = http::BodyKind::kChunked}), testing::HasSubstr("transfer-encoding: chunked\r\n"));
  EXPECT_THAT(head(text, {.kind = http::BodyKind::kLength, .length = 9}), testing::HasSubstr("content-length: 9\r\n"));
  RequestText empty;
  empty.method = "POST";
  empty.header("host", "h").header("content-length", "0");
  EXPECT_THAT(head(empty), testing::HasSubstr("content-length: 0\r\n"));
}

}  // namespace
}  // namespace msp::gateway
