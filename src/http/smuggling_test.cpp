// SPDX-License-Identifier: Apache-2.0
// Inputs that split a message differently in two readers, each with a benign twin that differs in the one thing.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/chunked.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/target.h"

namespace msp::http {
namespace {

using namespace std::string_literals;

struct Verdict {
  std::string code;               // empty: all bytes are whole messages
  std::vector<std::string> seen;  // "METHOD target body" of each message
};

/// Reads the whole body behind a head; the code of the refusal, "incomplete" or nothing.
std::string read_body(const Framing& framing, std::string_view& bytes, std::string& body) {
  if (framing.kind == BodyKind::kLength) {
    if (bytes.size() < framing.length) {
      return "incomplete";
    }
    body = bytes.substr(0, framing.length);
    bytes.remove_prefix(framing.length);
  }
  if (framing.kind == BodyKind::kChunked) {
    ChunkedDecoder decoder;
    while (!decoder.done()) {
      const auto step = decoder.next(bytes);
      bytes.remove_prefix(step.consumed);
      body += step.data;
      if (step.event == ChunkedDecoder::Event::kBad) {
        return std::string(step.refusal.code);
      }
      if (step.event == ChunkedDecoder::Event::kNeedMore) {
        return "incomplete";
      }
    }
  }
  return {};
}

Verdict judge(std::string_view bytes) {
  Verdict verdict;
  while (!bytes.empty() && verdict.code.empty()) {
    RequestHead head;
    const ParseResult parsed = parse_request_head(bytes, head);
    if (!parsed.complete()) {
      verdict.code = parsed.bad() ? parsed.refusal.code : "incomplete";
      break;
    }
    bytes.remove_prefix(parsed.consumed);
    const auto target = parse_target(head.target);
    const auto framing = request_framing(head);
    const ConnectionOptions options = connection_options(head.headers);
    std::string body;
    if (!target) {
      verdict.code = target.error().code;
    } else if (!framing) {
      verdict.code = framing.error().code;
    } else if (head.headers.count("host") != 1 && head.minor_version >= 1) {
      verdict.code = "bad_host";
    } else if (!options.foreign.empty()) {
      verdict.code = "bad_connection_header";
    } else {
      verdict.code = read_body(*framing, bytes, body);
    }
    if (verdict.code.empty()) {
      verdict.seen.push_back(std::string(head.method) + " " + std::string(head.target) + " " + body);
    }
  }
  return verdict;
}

struct Case {
  std::string name;
  std::string code;
  std::string bad;
  std::string benign;
};

std::string post(const std::string& headers, const std::string& rest) {
  return "POST /a HTTP/1.1\r\nhost: h\r\n" + headers + "\r\n" + rest;
}

const std::string kNext = "GET /secret HTTP/1.1\r\nhost: h\r\n\r\n";
const std::string kChunked = "transfer-encoding: chunked\r\n";
const std::string kEnd = "0\r\n\r\n";

std::vector<Case> lengths() {
  return {
      {"CL.TE", "length_ambiguous", post("content-length: 5\r\n" + kChunked, kEnd + kNext),
       post(kChunked, kEnd + kNext)},
      {"TE.CL", "length_ambiguous", post(kChunked + "content-length: 5\r\n", kEnd + kNext),
       post("content-length: 5\r\n", kEnd + kNext)},
      {"CL.0 beside TE", "length_ambiguous", post("content-length: 0\r\n" + kChunked, kEnd), post(kChunked, kEnd)},
      {"length with an underscore", "length_ambiguous", post("content-length: 5\r\nContent_Length: 0\r\n", kEnd),
       post("content-length: 5\r\nx_content_length: 0\r\n", kEnd)},
      {"TE with an underscore", "length_ambiguous", post("content-length: 5\r\ntransfer_encoding: chunked\r\n", kEnd),
       post("content-length: 5\r\nx_transfer_encoding: chunked\r\n", kEnd)},
      {"TE.TE", "length_ambiguous", post(kChunked + "transfer-encoding: x\r\n", kEnd), post(kChunked, kEnd)},
      {"TE twice the same", "length_ambiguous", post(kChunked + kChunked, kEnd), post(kChunked, kEnd)},
      {"TE with other case twice", "length_ambiguous", post(kChunked + "Transfer-Encoding: cow\r\n", kEnd),
       post("Transfer-Encoding: Chunked\r\n", kEnd)},
      {"two lengths", "length_ambiguous", post("content-length: 1\r\ncontent-length: 2\r\n", "ab"),
       post("content-length: 2\r\n", "ab")},
      {"two equal lengths", "length_ambiguous", post("content-length: 2\r\nContent-Length: 2\r\n", "ab"),
       post("content-length: 2\r\n", "ab")},
      {"length list", "bad_content_length", post("content-length: 2, 2\r\n", "ab"),
       post("content-length: 2\r\n", "ab")},
      {"length with plus", "bad_content_length", post("content-length: +2\r\n", "ab"),
       post("content-length: 2\r\n", "ab")},
      {"length with minus", "bad_content_length", post("content-length: -1\r\n", ""),
       post("content-length: 1\r\n", "a")},
      {"length in hex", "bad_content_length", post("content-length: 0x2\r\n", "ab"),
       post("content-length: 2\r\n", "ab")},
      {"length in octal", "bad_content_length", post("content-length: 010\r\n", "12345678"),
       post("content-length: 8\r\n", "12345678")},
      {"length with letters", "bad_content_length", post("content-length: 2a\r\n", "ab"),
       post("content-length: 2\r\n", "ab")},
      {"length with inner blank", "bad_content_length", post("content-length: 1 2\r\n", "ab"),
       post("content-length:  2 \r\n", "ab")},
      {"empty length", "bad_content_length", post("content-length:\r\n", ""), post("content-length: 0\r\n", "")},
      {"length that overflows", "bad_content_length", post("content-length: 18446744073709551618\r\n", "ab"),
       post("content-length: 2\r\n", "ab")},
      {"length above signed", "bad_content_length", post("content-length: 9223372036854775808\r\n", ""),
       post("content-length: 0\r\n", "")},
      {"TE identity", "bad_transfer_encoding", post("transfer-encoding: identity\r\n", ""), post("", "")},
      {"TE list ending in chunked", "bad_transfer_encoding", post("transfer-encoding: gzip, chunked\r\n", kEnd),
       post(kChunked, kEnd)},
      {"TE chunked twice in a list", "bad_transfer_encoding", post("transfer-encoding: chunked, chunked\r\n", kEnd),
       post(kChunked, kEnd)},
      {"TE quoted", "bad_transfer_encoding", post("transfer-encoding: \"chunked\"\r\n", kEnd), post(kChunked, kEnd)},
      {"TE with parameter", "bad_transfer_encoding", post("transfer-encoding: chunked;a=b\r\n", kEnd),
       post(kChunked, kEnd)},
      {"TE in HTTP/1.0", "bad_transfer_encoding", "POST /a HTTP/1.0\r\n" + kChunked + "\r\n" + kEnd,
       "POST /a HTTP/1.0\r\ncontent-length: 5\r\n\r\n" + kEnd},
  };
}

std::vector<Case> lines() {
  return {
      {"blank before colon of TE", "bad_header", post("transfer-encoding : chunked\r\n", kEnd), post(kChunked, kEnd)},
      {"tab before colon of length", "bad_header", post("content-length\t: 2\r\n", "ab"),
       post("content-length:\t2\r\n", "ab")},
      {"folded TE", "obs_fold", post("transfer-encoding:\r\n chunked\r\n", kEnd), post(kChunked, kEnd)},
      {"header hidden in a fold", "obs_fold", post("x: y\r\n content-length: 2\r\n", "ab"),
       post("x: y\r\ncontent-length: 2\r\n", "ab")},
      {"TE behind a bare CR", "header_not_signable", post("x: y\rtransfer-encoding: chunked\r\n", kEnd),
       post("x: y\r\n" + kChunked, kEnd)},
      {"TE behind a bare LF", "bad_line_end", post("x: y\ntransfer-encoding: chunked\r\n", kEnd),
       post("x: y\r\n" + kChunked, kEnd)},
      {"vertical tab around TE", "header_not_signable",
       post("transfer-encoding: \x0B"
            "chunked\r\n",
            kEnd),
       post("transfer-encoding: \tchunked\t\r\n", kEnd)},
      {"NUL behind chunked", "header_not_signable", post("transfer-encoding: chunked\0\r\n"s, kEnd),
       post(kChunked, kEnd)},
      {"NUL in a name", "bad_header", post("content-length\0: 2\r\n"s, "ab"), post("content-length: 2\r\n", "ab")},
      {"high byte as blank", "header_not_signable",
       post("transfer-encoding: \xA0"
            "chunked\r\n",
            kEnd),
       post(kChunked, kEnd)},
      {"end of head by LF LF", "bad_line_end", "POST /a HTTP/1.1\r\nhost: h\n\n" + kNext,
       "POST /a HTTP/1.1\r\nhost: h\r\n\r\n" + kNext},
      {"two empty lines in front", "blank_line", "\r\n\r\n" + kNext, "\r\n" + kNext},
      {"second request in the target", "bad_target", "GET /a HTTP/1.1 /b HTTP/1.1\r\nhost: h\r\n\r\n",
       "GET /a%20HTTP/1.1%20/b HTTP/1.1\r\nhost: h\r\n\r\n"},
      {"two hosts", "bad_host", "GET /a HTTP/1.1\r\nhost: h\r\nHost: evil\r\n\r\n",
       "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"no host", "bad_host", "GET /a HTTP/1.1\r\nx: h\r\n\r\n", "GET /a HTTP/1.0\r\nx: h\r\n\r\n"},
      {"connection strips a header", "bad_connection_header", post("connection: close, x-ms-azure-host-claims\r\n", ""),
       post("connection: close, te\r\n", "")},
      {"connection strips host", "bad_connection_header", post("connection: Host\r\n", ""),
       post("connection: keep-alive\r\n", "")},
      {"HTTP/2 preface", "version_not_supported", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/1.0\r\n\r\n"},
      {"backslash host", "bad_target", "GET http://h\\@evil/ HTTP/1.1\r\nhost: h\r\n\r\n",
       "GET http://h/ HTTP/1.1\r\nhost: h\r\n\r\n"},
      {"path without slash", "bad_target", "GET a/b HTTP/1.1\r\nhost: h\r\n\r\n",
       "GET /a/b HTTP/1.1\r\nhost: h\r\n\r\n"},
  };
}

std::vector<Case> chunks() {
  return {
      {"chunk extension", "bad_chunk", post(kChunked, "2;x=y\r\nab\r\n" + kEnd), post(kChunked, "2\r\nab\r\n" + kEnd)},
      {"LF in a chunk extension", "bad_chunk", post(kChunked, "2;\n\r\nab\r\n" + kEnd),
       post(kChunked, "2\r\nab\r\n" + kEnd)},
      {"chunk size with blank", "bad_chunk", post(kChunked, "2 \r\nab\r\n" + kEnd),
       post(kChunked, "2\r\nab\r\n" + kEnd)},
      {"chunk size with prefix", "bad_chunk", post(kChunked, "0x2\r\nab\r\n" + kEnd),
       post(kChunked, "02\r\nab\r\n" + kEnd)},
      {"chunk size with sign", "bad_chunk", post(kChunked, "+2\r\nab\r\n" + kEnd),
       post(kChunked, "2\r\nab\r\n" + kEnd)},
      {"chunk size that overflows", "bad_chunk", post(kChunked, "10000000000000002\r\nab\r\n" + kEnd),
       post(kChunked, "0000000000000002\r\nab\r\n" + kEnd)},
      {"chunk size below zero", "bad_chunk", post(kChunked, "fffffffffffffffe\r\nab\r\n" + kEnd),
       post(kChunked, "2\r\nab\r\n" + kEnd)},
      {"chunk line by LF", "bad_chunk", post(kChunked, "2\nab\r\n" + kEnd), post(kChunked, "2\r\nab\r\n" + kEnd)},
      {"chunk line by CR", "bad_chunk", post(kChunked, "2\rXab\r\n" + kEnd), post(kChunked, "2\r\nab\r\n" + kEnd)},
      {"chunk data by LF", "bad_chunk", post(kChunked, "2\r\nab\n" + kEnd), post(kChunked, "2\r\nab\r\n" + kEnd)},
      {"chunk data too long", "bad_chunk", post(kChunked, "2\r\nabc\r\n" + kEnd),
       post(kChunked, "3\r\nabc\r\n" + kEnd)},
      {"no chunk size", "bad_chunk", post(kChunked, "\r\n" + kEnd), post(kChunked, kEnd)},
      {"end by LF", "bad_trailer", post(kChunked, "0\r\n\n" + kNext), post(kChunked, kEnd + kNext)},
      {"trailer with claims", "bad_trailer", post(kChunked, "0\r\nX-MS-azure-host-claims: x\r\n\r\n"),
       post(kChunked, "0\r\nx-checksum: x\r\n\r\n")},
      {"trailer with a length", "bad_trailer", post(kChunked, "0\r\ncontent-length: 9\r\n\r\n"),
       post(kChunked, "0\r\ncontent-digest: 9\r\n\r\n")},
      {"trailer with a host", "bad_trailer", post(kChunked, "0\r\nhost: evil\r\n\r\n"),
       post(kChunked, "0\r\nhostile: no\r\n\r\n")},
      {"folded trailer", "bad_trailer", post(kChunked, "0\r\nx: y\r\n host: evil\r\n\r\n"),
       post(kChunked, "0\r\nx: y host: evil\r\n\r\n")},
  };
}

TEST(Smuggling, EachInputIsRefusedAndItsTwinServed) {
  std::vector<Case> cases = lengths();
  for (auto* more : {+[] { return lines(); }, +[] { return chunks(); }}) {
    for (Case& c : more()) {
      cases.push_back(std::move(c));
    }
  }
  EXPECT_GE(cases.size(), 40U);
  for (const Case& c : cases) {
    const Verdict bad = judge(c.bad);
    EXPECT_EQ(bad.code, c.code) << c.name;
    EXPECT_TRUE(bad.seen.empty()) << c.name << ": served " << bad.seen.size();
    const Verdict benign = judge(c.benign);
    EXPECT_EQ(benign.code, "") << c.name;
    EXPECT_FALSE(benign.seen.empty()) << c.name;
  }
  RecordProperty("inputs", static_cast<int>(cases.size()));
}

TEST(Smuggling, FollowingRequestIsSeenOnlyAsAMessageOfItsOwn) {
  EXPECT_EQ(judge(post("content-length: 5\r\n", kEnd + kNext)).seen,
            (std::vector<std::string>{"POST /a 0\r\n\r\n", "GET /secret "}));
  EXPECT_EQ(judge(post(kChunked, "2\r\nab\r\n" + kEnd + kNext)).seen,
            (std::vector<std::string>{"POST /a ab", "GET /secret "}));
  EXPECT_EQ(judge(post("", kNext)).seen, (std::vector<std::string>{"POST /a ", "GET /secret "}));
}

}  // namespace
}  // namespace msp::http
