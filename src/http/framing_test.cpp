// SPDX-License-Identifier: Apache-2.0
#include "http/framing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace msp::http {
namespace {

using Lines = std::vector<Header>;

RequestHead request(const Lines& lines, int minor = 1) {
  RequestHead head;
  head.method = "POST";
  head.minor_version = minor;
  for (const Header& header : lines) {
    head.headers.push(header);
  }
  return head;
}

ResponseHead response(int status, const Lines& lines, int minor = 1) {
  ResponseHead head;
  head.status = status;
  head.minor_version = minor;
  for (const Header& header : lines) {
    head.headers.push(header);
  }
  return head;
}

struct BadLength {
  Lines lines;
  std::string_view code;
  int minor = 1;
};

std::vector<BadLength> bad_lengths() {
  return {
      {{{"content-length", "5"}, {"transfer-encoding", "chunked"}}, "length_ambiguous"},
      {{{"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}}, "length_ambiguous"},
      {{{"content-length", "5"}, {"content-length", "6"}}, "length_ambiguous"},
      {{{"content-length", "5"}, {"Content-Length", "5"}}, "length_ambiguous"},
      {{{"transfer-encoding", "chunked"}, {"transfer-encoding", "chunked"}}, "length_ambiguous"},
      {{{"transfer-encoding", "chunked"}, {"transfer-encoding", "identity"}}, "length_ambiguous"},
      {{{"content-length", "+5"}}, "bad_content_length"},
      {{{"content-length", "-5"}}, "bad_content_length"},
      {{{"content-length", "-0"}}, "bad_content_length"},
      {{{"content-length", "0x5"}}, "bad_content_length"},
      {{{"content-length", "5, 5"}}, "bad_content_length"},
      {{{"content-length", "5,6"}}, "bad_content_length"},
      {{{"content-length", "0, 0"}}, "bad_content_length"},
      {{{"content-length", "5;"}}, "bad_content_length"},
      {{{"content-length", "5 5"}}, "bad_content_length"},
      {{{"content-length", "5.0"}}, "bad_content_length"},
      {{{"content-length", "1e3"}}, "bad_content_length"},
      {{{"content-length", "\"5\""}}, "bad_content_length"},
      {{{"content-length", "05"}}, "bad_content_length"},
      {{{"content-length", "00"}}, "bad_content_length"},
      {{{"content-length", ""}}, "bad_content_length"},
      {{{"content-length", "five"}}, "bad_content_length"},
      {{{"content-length", "9223372036854775808"}}, "bad_content_length"},
      {{{"content-length", "18446744073709551615"}}, "bad_content_length"},
      {{{"content-length", "18446744073709551621"}}, "bad_content_length"},
      {{{"content-length", "99999999999999999999999"}}, "bad_content_length"},
      {{{"transfer-encoding", ""}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", "identity"}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", "gzip, chunked"}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", "chunked, chunked"}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", "chunked;q=1"}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", "chunked,"}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", ",chunked"}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", "\"chunked\""}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", "xchunked"}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", "chunked\x0B"}}, "bad_transfer_encoding"},
      {{{"transfer-encoding", "chunked"}}, "bad_transfer_encoding", 0},
  };
}

TEST(Framing, AmbiguousLengthsAreRefusedInBothDirections) {
  for (const BadLength& bad : bad_lengths()) {
    const auto asked = request_framing(request(bad.lines, bad.minor));
    ASSERT_FALSE(asked) << bad.lines[0].value;
    EXPECT_EQ(asked.error().status, 400);
    EXPECT_EQ(asked.error().code, bad.code) << bad.lines[0].value;
    const auto answered = response_framing(response(200, bad.lines, bad.minor), "GET");
    ASSERT_FALSE(answered) << bad.lines[0].value;
    EXPECT_EQ(answered.error().status, 502);
    // No body is no excuse.
    EXPECT_FALSE(response_framing(response(204, bad.lines, bad.minor), "GET")) << bad.lines[0].value;
  }
}

TEST(Framing, LengthsInDisguiseAreRefusedInRequests) {
  for (const std::string_view name : {"Content_Length", "content_length", "Transfer_Encoding", "TRANSFER_ENCODING"}) {
    const auto asked = request_framing(request({{"content-length", "5"}, {name, "0"}}));
    ASSERT_FALSE(asked) << name;
    EXPECT_EQ(asked.error().code, "length_ambiguous");
    EXPECT_EQ(asked.error().status, 400);
    EXPECT_FALSE(request_framing(request({{name, "chunked"}}))) << "alone as well";
    EXPECT_TRUE(response_framing(response(200, {{name, "0"}}), "GET")) << "of an answer it is any header";
  }
  for (const std::string_view name : {"content_lengths", "x_content_length", "content_type", "transfer.encoding"}) {
    EXPECT_TRUE(request_framing(request({{name, "0"}}))) << name;
  }
}

TEST(Framing, RequestsHaveOneKindOfBody) {
  EXPECT_EQ(request_framing(request({}))->kind, BodyKind::kNone);
  EXPECT_EQ(request_framing(request({}, 0))->kind, BodyKind::kNone);
  EXPECT_EQ(request_framing(request({{"content-length", "0"}}))->kind, BodyKind::kNone);
  const auto length = request_framing(request({{"CONTENT-LENGTH", "9223372036854775807"}}));
  ASSERT_TRUE(length);
  EXPECT_EQ(length->kind, BodyKind::kLength);
  EXPECT_EQ(length->length, 9223372036854775807U);
  EXPECT_EQ(request_framing(request({{"transfer-encoding", "Chunked"}}))->kind, BodyKind::kChunked);
}

TEST(Framing, ResponsesByStatusAndMethod) {
  const Lines length = {{"content-length", "7"}};
  EXPECT_EQ(response_framing(response(200, length), "GET")->length, 7U);
  EXPECT_EQ(response_framing(response(200, length), "HEAD")->kind, BodyKind::kNone);
  EXPECT_EQ(response_framing(response(204, {}), "GET")->kind, BodyKind::kNone);
  EXPECT_EQ(response_framing(response(304, length), "GET")->kind, BodyKind::kNone);
  EXPECT_EQ(response_framing(response(100, {}), "POST")->kind, BodyKind::kNone);
  EXPECT_EQ(response_framing(response(200, {}), "GET")->kind, BodyKind::kUntilClose);
  EXPECT_EQ(response_framing(response(200, {}, 0), "GET")->kind, BodyKind::kUntilClose);
  EXPECT_EQ(response_framing(response(200, {{"content-length", "0"}}), "GET")->kind, BodyKind::kNone);
  EXPECT_EQ(response_framing(response(200, {{"transfer-encoding", "chunked"}}), "GET")->kind, BodyKind::kChunked);
}

TEST(Framing, ConnectionOptions) {
  const auto options = [](const Lines& lines) { return connection_options(request(lines).headers); };
  EXPECT_TRUE(options({}).persistent(1));
  EXPECT_FALSE(options({}).persistent(0));
  EXPECT_TRUE(options({{"connection", "Keep-Alive"}}).persistent(0));
  EXPECT_FALSE(options({{"Connection", "close"}}).persistent(1));
  EXPECT_FALSE(options({{"connection", "keep-alive"}, {"connection", "CLOSE"}}).persistent(1));
  EXPECT_FALSE(options({{"connection", "keep-alive , close"}}).persistent(1));
  EXPECT_EQ(options({{"connection", "Upgrade, HTTP2-Settings, TE"}}).foreign, "");
  EXPECT_EQ(options({{"connection", "close, X-Ms-Azure-Host-Date"}}).foreign, "X-Ms-Azure-Host-Date");
  EXPECT_EQ(options({{"connection", "close"}, {"connection", ",, host"}}).foreign, "host");
  EXPECT_TRUE(is_connection_header("Proxy-Connection"));
  EXPECT_FALSE(is_connection_header("host"));
}

TEST(Framing, WhatAConnectionHeaderNamesIsOfTheConnection) {
  const auto head = response(200, {{"connection", "close, X-Own"}, {"x-own", "1"}, {"Connection", ",\tx-other"}});
  EXPECT_TRUE(is_connection_option(head.headers, "x-own"));
  EXPECT_TRUE(is_connection_option(head.headers, "X-Other"));
  EXPECT_FALSE(is_connection_option(head.headers, "x-o"));
  EXPECT_FALSE(is_connection_option(response(200, {{"x-own", "x-own"}}).headers, "x-own"));
}

TEST(Framing, Expectations) {
  EXPECT_EQ(expectation(request({})), Expectation::kNone);
  EXPECT_EQ(expectation(request({{"Expect", "100-Continue"}})), Expectation::k100Continue);
  EXPECT_EQ(expectation(request({{"expect", "100-continue"}}, 0)), Expectation::kNone);
  EXPECT_EQ(expectation(request({{"expect", "200-ok"}})), Expectation::kUnknown);
  EXPECT_EQ(expectation(request({{"expect", "100-continue"}, {"expect", "x"}})), Expectation::kUnknown);
}

}  // namespace
}  // namespace msp::http
