// SPDX-License-Identifier: Apache-2.0
#include "http/head.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/guarded.h"

namespace msp::http {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

struct BadCase {
  std::string name;
  std::string bytes;
  int status;
  std::string_view code;
};

std::string with_header(std::string_view line) {
  return "GET / HTTP/1.1\r\nhost: h\r\n"s + std::string(line) + "\r\n\r\n";
}

std::vector<BadCase> bad_requests() {
  return {
      {"bare LF everywhere", "GET / HTTP/1.1\nhost: h\n\n", 400, "bad_line_end"},
      {"bare LF behind a header", "GET / HTTP/1.1\r\nhost: h\n\r\n", 400, "bad_line_end"},
      {"bare LF at once", "\nGET / HTTP/1.1\r\n\r\n", 400, "bad_line_end"},
      {"LF alone as empty line", "GET / HTTP/1.1\r\nhost: h\r\n\n", 400, "bad_line_end"},
      {"bare CR in a value", with_header("a: b\rc: d"), 400, "header_not_signable"},
      {"bare CR as line end", "GET / HTTP/1.1\rhost: h\r\n\r\n", 400, "bad_request_line"},
      {"doubled CR", "GET / HTTP/1.1\r\r\nhost: h\r\n\r\n", 400, "bad_request_line"},
      {"doubled CR behind a header", with_header("a: b\r"), 400, "header_not_signable"},
      {"two empty lines in front", "\r\n\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n", 400, "blank_line"},
      {"CR alone in front", "\rGET / HTTP/1.1\r\nhost: h\r\n\r\n", 400, "bad_request_line"},
      {"obs-fold with a blank", with_header("a: b\r\n c"), 400, "obs_fold"},
      {"obs-fold with a tab", with_header("a: b\r\n\tc"), 400, "obs_fold"},
      {"fold in the first header", "GET / HTTP/1.1\r\n host: h\r\n\r\n", 400, "obs_fold"},
      {"line of blanks only", with_header("  "), 400, "obs_fold"},
      {"blank before colon", with_header("a : b"), 400, "bad_header"},
      {"tab before colon", with_header("a\t: b"), 400, "bad_header"},
      {"blank inside name", with_header("a b: c"), 400, "bad_header"},
      {"empty name", with_header(": b"), 400, "bad_header"},
      {"no colon", with_header("abc"), 400, "bad_header"},
      {"name with parenthesis", with_header("a(b: c"), 400, "bad_header"},
      {"name above ASCII", with_header("a\xE4: c"), 400, "bad_header"},
      {"NUL in a name", with_header("a\0b: c"sv), 400, "bad_header"},
      {"NUL in a value", with_header("a: b\0c"sv), 400, "header_not_signable"},
      {"control byte in a value", with_header("a: b\x01"), 400, "header_not_signable"},
      {"escape in a value", with_header("a: \x1B[0m"), 400, "header_not_signable"},
      {"DEL in a value", with_header("a: \x7F"), 400, "header_not_signable"},
      {"UTF-8 in a value", with_header("a: gr\xC3\xBCn"), 400, "header_not_signable"},
      {"Latin-1 in a value", with_header("a: gr\xFCn"), 400, "header_not_signable"},
      {"two blanks behind the method", "GET  / HTTP/1.1\r\n\r\n", 400, "bad_target"},
      {"two blanks before the version", "GET /  HTTP/1.1\r\n\r\n", 400, "bad_target"},
      {"no target between two blanks", "GET  HTTP/1.1\r\n\r\n", 400, "bad_target"},
      {"tab as separator", "GET\t/ HTTP/1.1\r\n\r\n", 400, "bad_request_line"},
      {"blank in front", " GET / HTTP/1.1\r\n\r\n", 400, "bad_request_line"},
      {"blank behind", "GET / HTTP/1.1 \r\n\r\n", 400, "bad_request_line"},
      {"no target", "GET HTTP/1.1\r\n\r\n", 400, "bad_request_line"},
      {"no version (0.9)", "GET /\r\n\r\n", 400, "bad_request_line"},
      {"lower-case version", "GET / http/1.1\r\n\r\n", 400, "bad_request_line"},
      {"version without a digit", "GET / HTTP/1.\r\n\r\n", 400, "bad_request_line"},
      {"version with two digits", "GET / HTTP/1.10\r\n\r\n", 400, "bad_request_line"},
      {"version with a leading zero", "GET / HTTP/01.1\r\n\r\n", 400, "bad_request_line"},
      {"another protocol", "GET / ICY/1.1.1\r\n\r\n", 400, "bad_request_line"},
      {"bad method byte", "GE[T / HTTP/1.1\r\n\r\n", 400, "bad_request_line"},
      {"NUL in the method", "GE\0T / HTTP/1.1\r\n\r\n"s, 400, "bad_request_line"},
      {"control byte in the target", "GET /\x01 HTTP/1.1\r\n\r\n", 400, "bad_target"},
      {"NUL in the target", "GET /\0 HTTP/1.1\r\n\r\n"s, 400, "bad_target"},
      {"non-ASCII target", "GET /\xC3\xBC HTTP/1.1\r\n\r\n", 400, "bad_target"},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_not_supported"},
      {"HTTP/1.2", "GET / HTTP/1.2\r\n\r\n", 505, "version_not_supported"},
      {"HTTP/0.9 spelled out", "GET / HTTP/0.9\r\n\r\n", 505, "version_not_supported"},
      {"HTTP/3.0", "GET / HTTP/3.0\r\n\r\n", 505, "version_not_supported"},
  };
}

TEST(RequestHead, RefusesWhatParsersReadDifferently) {
  for (const BadCase& bad : bad_requests()) {
    RequestHead head;
    const ParseResult result = parse_request_head(bad.bytes, head);
    ASSERT_TRUE(result.bad()) << bad.name;
    EXPECT_EQ(result.refusal.status, bad.status) << bad.name;
    EXPECT_EQ(result.refusal.code, bad.code) << bad.name;
    EXPECT_FALSE(result.refusal.what.empty()) << bad.name;
  }
}

TEST(RequestHead, KeepsWhatWasReceived) {
  constexpr std::string_view bytes =
      "\r\nPOST /Machine/?comp=x#f HTTP/1.0\r\nHost:169.254.169.254\r\nX-EMPTY:\r\nX-Blanks: \t a  b\t \r\n"
      "!#$%&'*+-.^_`|~09azAZ: v:w\r\n\r\nnext";
  RequestHead head;
  const ParseResult result = parse_request_head(bytes, head);
  ASSERT_TRUE(result.complete());
  EXPECT_EQ(result.consumed, bytes.size() - 4);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/Machine/?comp=x#f");
  EXPECT_EQ(head.minor_version, 0);
  ASSERT_EQ(head.headers.size(), 4U);
  EXPECT_EQ(head.headers[0].name, "Host");
  EXPECT_EQ(head.headers[0].value, "169.254.169.254");
  EXPECT_EQ(head.headers[1].value, "");
  EXPECT_EQ(head.headers[2].value, "a  b");
  EXPECT_EQ(head.headers[3].name, "!#$%&'*+-.^_`|~09azAZ");
  EXPECT_EQ(head.headers[3].value, "v:w");
  EXPECT_EQ(head.headers.value("host"), "169.254.169.254");
  EXPECT_EQ(head.headers.count("HOST"), 1U);
  EXPECT_EQ(head.headers.find("absent"), nullptr);
  // All views lie inside the input.
  EXPECT_GE(head.target.data(), bytes.data());
  EXPECT_LE(head.headers[3].value.data(), bytes.data() + bytes.size());
}

TEST(RequestHead, LimitsAreExact) {
  RequestHead head;
  const auto of_size = [](std::size_t size) {
    std::string text = "GET / HTTP/1.1\r\na: ";
    text.append(size - text.size() - 4, 'x');
    return text + "\r\n\r\n";
  };
  EXPECT_TRUE(parse_request_head(of_size(kMaxHeadBytes), head).complete());
  const ParseResult too_large = parse_request_head(of_size(kMaxHeadBytes + 1), head);
  ASSERT_TRUE(too_large.bad());
  EXPECT_EQ(too_large.refusal.status, 431);
  EXPECT_EQ(too_large.refusal.code, "head_too_large");

  const std::string long_target = "GET /" + std::string(kMaxHeadBytes, 'x') + " HTTP/1.1\r\n\r\n";
  const ParseResult too_long = parse_request_head(long_target, head);
  ASSERT_TRUE(too_long.bad());
  EXPECT_EQ(too_long.refusal.status, 414);
  EXPECT_EQ(parse_request_head("\r\n" + long_target, head).refusal.status, 414);
  EXPECT_EQ(parse_request_head(std::string_view(long_target).substr(0, kMaxHeadBytes - 1), head).status,
            ParseStatus::kIncomplete);

  std::string many = "GET / HTTP/1.1\r\n";
  for (std::size_t i = 0; i < kMaxHeaders; ++i) {
    many += "a: b\r\n";
  }
  const std::string exact = many + "\r\n";
  EXPECT_TRUE(parse_request_head(exact, head).complete());
  EXPECT_EQ(head.headers.count("A"), kMaxHeaders);
  const ParseResult one_more = parse_request_head(many + "a: b\r\n\r\n", head);
  ASSERT_TRUE(one_more.bad());
  EXPECT_EQ(one_more.refusal.status, 431);
  EXPECT_EQ(one_more.refusal.code, "too_many_headers");
}

TEST(RequestHead, AHostTakesWhatAnAgentMadeOfAFullHead) {
  RequestHead head;
  head.headers.admit_added();
  std::string many = "GET / HTTP/1.1\r\n";
  for (std::size_t i = 0; i < kMaxHeaders + kMaxAddedHeaders; ++i) {
    many += "a: b\r\n";
  }
  EXPECT_TRUE(parse_request_head(many + "\r\n", head).complete());
  EXPECT_EQ(parse_request_head(many + "a: b\r\n\r\n", head).refusal.status, 431);
}

TEST(ResponseHead, TakesWhatHostsSend) {
  ResponseHead head;
  EXPECT_TRUE(parse_response_head("HTTP/1.1 200 OK\r\nServer: IMDS/1\r\n\r\n", head).complete());
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.reason, "OK");
  EXPECT_TRUE(parse_response_head("HTTP/1.0 404 \r\n\r\n", head).complete());
  EXPECT_EQ(head.minor_version, 0);
  EXPECT_EQ(head.reason, "");
  EXPECT_TRUE(parse_response_head("HTTP/1.1 410\r\nx: caf\xC3\xA9\r\n\r\n", head).complete());
  EXPECT_EQ(head.headers.value("x"), "caf\xC3\xA9");
  EXPECT_TRUE(parse_response_head("HTTP/1.1 500 Erreur \xE9trange\r\n\r\n", head).complete());
}

TEST(ResponseHead, RefusesWithBadGateway) {
  const std::vector<std::string> bad = {"HTTP/1.1 200 OK\nx: y\n\n",
                                        "\r\nHTTP/1.1 200 OK\r\n\r\n",
                                        "HTTP/1.1  200 OK\r\n\r\n",
                                        "HTTP/1.1 20 OK\r\n\r\n",
                                        "HTTP/1.1 2000 OK\r\n\r\n",
                                        "HTTP/1.1 099 OK\r\n\r\n",
                                        "HTTP/1.1 600 OK\r\n\r\n",
                                        "HTTP/1.1 +20 OK\r\n\r\n",
                                        "HTTP/1.1 200\tOK\r\n\r\n",
                                        "HTTP/1.1 200 O\x01K\r\n\r\n",
                                        "HTTP/1.1 200 O\0K\r\n\r\n"s,
                                        "HTTP/1.1\r\n\r\n",
                                        "HTTP/2.0 200 OK\r\n\r\n",
                                        "ICY 200 OK\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nx : y\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nx: y\rset-cookie: z\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nx: y\0\r\n\r\n"s,
                                        "HTTP/1.1 200 OK\r\nx: " + std::string(kMaxHeadBytes, 'y') + "\r\n\r\n"};
  for (const std::string& bytes : bad) {
    ResponseHead head;
    const ParseResult result = parse_response_head(bytes, head);
    ASSERT_TRUE(result.bad()) << bytes.substr(0, 80);
    EXPECT_EQ(result.refusal.status, 502) << bytes.substr(0, 80);
  }
}

// --- the verdict depends on the bytes, never on how they arrive ---

std::vector<std::string> corpus(const std::string& name) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(MSP_SOURCE_DIR "/fuzz/corpus/" + name)) {
    std::ifstream file(entry.path(), std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return out;
}

template <class Head, class Parse>
void expect_same_for_all_splits(const std::vector<std::string>& inputs, const Parse& parse) {
  Head head;
  std::size_t prefixes = 0;
  for (const std::string& bytes : inputs) {
    const ParseResult whole = parse(bytes, head, nullptr);
    HeadProgress byte_by_byte;
    for (std::size_t size = 0; size <= bytes.size(); ++size, ++prefixes) {
      const test::Guarded guarded(std::string_view(bytes).substr(0, size));
      const ParseResult fresh = parse(guarded.view(), head, nullptr);
      const ParseResult resumed = parse(guarded.view(), head, &byte_by_byte);
      ASSERT_EQ(fresh.status, resumed.status) << bytes.substr(0, size);
      if (fresh.status == ParseStatus::kIncomplete) {
        // Split here: the rest arrives at once.
        HeadProgress split;
        ASSERT_EQ(parse(guarded.view(), head, &split).status, ParseStatus::kIncomplete);
        ASSERT_EQ(parse(bytes, head, &split).status, whole.status) << bytes;
        continue;
      }
      for (const ParseResult* other : {&fresh, &resumed}) {
        ASSERT_EQ(other->status, whole.status) << bytes;
        ASSERT_EQ(other->consumed, whole.consumed) << bytes;
        ASSERT_EQ(other->refusal.code, whole.refusal.code) << bytes;
      }
      break;
    }
  }
  EXPECT_GT(prefixes, 100U);
}

TEST(RequestHead, EveryPrefixAndSplitGivesTheSameVerdict) {
  std::vector<std::string> inputs = corpus("request_head");
  for (const BadCase& bad : bad_requests()) {
    inputs.push_back(bad.bytes);
  }
  inputs.emplace_back("\r\nGET /a?b HTTP/1.1\r\nhost: h\r\nx:  y \r\n\r\nGET /pipelined HTTP/1.1\r\n\r\n");
  inputs.emplace_back("\r\r\n\r\n");
  expect_same_for_all_splits<RequestHead>(inputs, parse_request_head);
}

TEST(ResponseHead, EveryPrefixAndSplitGivesTheSameVerdict) {
  std::vector<std::string> inputs = corpus("response_head");
  inputs.emplace_back("HTTP/1.1 200 OK\r\nx: y\r\n\r\nbody");
  inputs.emplace_back("\r\nHTTP/1.1 200 OK\r\nx: y\r\n\r\nbody");
  expect_same_for_all_splits<ResponseHead>(inputs, parse_response_head);
}

TEST(RequestHead, ByteByByteCostsNoMoreThanOneLook) {
  // 64 KiB one byte at a time: with a search from the start each time this would be 2 GiB of looking.
  std::string bytes = "GET / HTTP/1.1\r\n";
  while (bytes.size() < kMaxHeadBytes - 700) {
    bytes += "x: " + std::string(695, 'y') + "\r\n";
  }
  bytes += "\r\n";
  RequestHead head;
  HeadProgress progress;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(parse_request_head(std::string_view(bytes).substr(0, size), head, &progress).status,
              ParseStatus::kIncomplete);
    ASSERT_GE(progress.searched + 1, size);
  }
  EXPECT_TRUE(parse_request_head(bytes, head, &progress).complete());
}

}  // namespace
}  // namespace msp::http
