// SPDX-License-Identifier: Apache-2.0
#include "http/chunked.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/guarded.h"

namespace msp::http {
namespace {

using namespace std::string_literals;

struct Decoded {
  std::string data;
  ChunkedDecoder::Event end = ChunkedDecoder::Event::kNeedMore;
  std::string_view code;
  std::size_t consumed = 0;

  bool operator==(const Decoded&) const = default;
};

/// Feeds the pieces that `cuts` (ascending offsets) make of the input.
Decoded decode(std::string_view input, const std::vector<std::size_t>& cuts = {}, bool of_answer = false) {
  ChunkedDecoder decoder(of_answer);
  Decoded out;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t to = i < cuts.size() ? cuts[i] : input.size();
    std::optional<test::Guarded> guarded;
    std::string_view piece = input.substr(from, to - from);
    if (cuts.size() <= 1) {
      piece = guarded.emplace(piece).view();
    }
    for (;;) {
      const ChunkedDecoder::Step step = decoder.next(piece);
      out.consumed += step.consumed;
      piece.remove_prefix(step.consumed);
      out.data.append(step.data);
      if (step.event == ChunkedDecoder::Event::kNeedMore) {
        EXPECT_TRUE(piece.empty());
        break;
      }
      if (step.event != ChunkedDecoder::Event::kData) {
        out.end = step.event;
        out.code = step.refusal.code;
        return out;
      }
      EXPECT_FALSE(step.data.empty());
    }
    from = to;
  }
  return out;
}

const std::vector<std::string>& good_bodies() {
  static const std::vector<std::string> bodies = {
      "0\r\n\r\n",
      "5\r\nhello\r\n0\r\n\r\n",
      "1\r\na\r\n2\r\nbc\r\n00000\r\n\r\n",
      "A\r\n0123456789\r\n0\r\n\r\n",
      "a\r\n\r\n0\r\n\r\nabc\r\n0\r\n\r\n",
      "0000000000000003\r\nabc\r\n0\r\n\r\n",
      "3\r\nabc\r\n0\r\nx-checksum: 1\r\nEtag:\r\n\r\n",
      "3\r\nabc\r\n0\r\n" + std::string(60, 'n') + ": v\r\n\r\n",
  };
  return bodies;
}

const std::vector<std::string>& bad_bodies() {
  static const std::vector<std::string> bodies = {
      "",  // replaced by an incomplete one below
      "\r\n",
      "5;ext=1\r\nhello\r\n0\r\n\r\n",
      "5 ;ext\r\nhello\r\n0\r\n\r\n",
      "5;\r\nhello\r\n0\r\n\r\n",
      "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
      "5 \r\nhello\r\n0\r\n\r\n",
      " 5\r\nhello\r\n0\r\n\r\n",
      "+5\r\nhello\r\n0\r\n\r\n",
      "-5\r\nhello\r\n0\r\n\r\n",
      "0x5\r\nhello\r\n0\r\n\r\n",
      "5\nhello\r\n0\r\n\r\n",
      "5\rhello\r\n0\r\n\r\n",
      "5\r\r\nhello\r\n0\r\n\r\n",
      "5\r\nhello\n0\r\n\r\n",
      "5\r\nhello\r0\r\n\r\n",
      "5\r\nhello0\r\n\r\n",
      "5\r\nhello!\r\n0\r\n\r\n",
      "6\r\nhello\r\n0\r\n\r\n",
      "g\r\nhello\r\n0\r\n\r\n",
      "5\0\r\nhello\r\n0\r\n\r\n"s,
      "8000000000000000\r\n",
      "ffffffffffffffff\r\n",
      "10000000000000005\r\nhello\r\n0\r\n\r\n",
      "00000000000000005\r\nhello\r\n0\r\n\r\n",
      "0\r\n\n",
      "0\n\r\n",
      "0\r\n\r!",
      "0\r\nhost: evil\r\n\r\n",
      "0\r\nHOST: evil\r\n\r\n",
      "0\r\nContent-Length: 5\r\n\r\n",
      "0\r\ntransfer-encoding: chunked\r\n\r\n",
      "0\r\nok: 1\r\nx-ms-azure-host-claims: { \"isRoot\": \"true\"}\r\n\r\n",
      "0\r\nX-MS-Azure-Host-Authorization: x\r\n\r\n",
      "0\r\nx-ms-version: x\r\n\r\n",
      "0\r\nX-Ms-Openmsp-Caller: x\r\n\r\n",
      "0\r\nx-ms-azure-host-date: x\r\n\r\n",
      "0\r\nmetadata: true\r\n\r\n",
      "0\r\nAuthorization: x\r\n\r\n",
      "0\r\nx-forwarded-for: 1\r\n\r\n",
      "0\r\nx : y\r\n\r\n",
      "0\r\n: y\r\n\r\n",
      "0\r\nxy\r\n\r\n",
      "0\r\n x: y\r\n\r\n",
      "0\r\nx: y\n\r\n",
      "0\r\nx: y\r!\n\r\n",
      "0\r\nx: \x01\r\n\r\n",
      "0\r\nx: \xC3\xBC\r\n\r\n",
      "0\r\nx: y\r\n z\r\n\r\n",
      "0\r\nx: " + std::string(ChunkedDecoder::kMaxTrailerBytes, 'y') + "\r\n\r\n",
  };
  return bodies;
}

TEST(Chunked, DecodesGoodBodiesAndLeavesWhatFollows) {
  const std::vector<std::string> expected = {"", "hello", "abc", "0123456789", "\r\n0\r\n\r\nabc", "abc", "abc", "abc"};
  ASSERT_EQ(expected.size(), good_bodies().size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::string& body = good_bodies()[i];
    const Decoded decoded = decode(body + "GET /next");
    EXPECT_EQ(decoded.end, ChunkedDecoder::Event::kEnd) << body;
    EXPECT_EQ(decoded.data, expected[i]) << body;
    EXPECT_EQ(decoded.consumed, body.size()) << body;
  }
}

TEST(Chunked, RefusesWhatIsNotStrict) {
  for (std::size_t i = 1; i < bad_bodies().size(); ++i) {
    const Decoded decoded = decode(bad_bodies()[i]);
    EXPECT_EQ(decoded.end, ChunkedDecoder::Event::kBad) << bad_bodies()[i];
    EXPECT_TRUE(decoded.code == "bad_chunk" || decoded.code == "bad_trailer") << bad_bodies()[i];
  }
}

TEST(Chunked, TrailersOfAnswersMayHaveAnyNameButNotAnyForm) {
  for (const std::string name :
       {"Date", "Via", "Location", "x-ms-request-id", "Cache-Control", "Set-Cookie", "Content-Length"}) {
    const std::string body = "5\r\nhello\r\n0\r\n" + name + ": 1\r\n\r\n";
    const Decoded answer = decode(body + "HTTP/1.1 200", {}, true);
    EXPECT_EQ(answer.end, ChunkedDecoder::Event::kEnd) << name;
    EXPECT_EQ(answer.data, "hello");
    EXPECT_EQ(answer.consumed, body.size());
    EXPECT_EQ(decode(body).code, "bad_trailer") << name << " of a request";
  }
  for (const std::string line : {"via : y", ": y", "via", " via: y", "via: y\n", "via: \x01", "via: y\r\n z"}) {
    EXPECT_EQ(decode("0\r\n" + line + "\r\n\r\n", {}, true).code, "bad_trailer") << line;
  }
}

TEST(Chunked, StaysRefused) {
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.next("5;").event, ChunkedDecoder::Event::kBad);
  EXPECT_EQ(decoder.next("5\r\nhello\r\n0\r\n\r\n").event, ChunkedDecoder::Event::kBad);
  EXPECT_EQ(decoder.next("").event, ChunkedDecoder::Event::kBad);
  EXPECT_FALSE(decoder.done());
}

TEST(Chunked, LargestSizeIsTaken) {
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.next("7fffffffffffffff\r\n").event, ChunkedDecoder::Event::kNeedMore);
  EXPECT_EQ(decoder.next("x").event, ChunkedDecoder::Event::kData);
}

TEST(Chunked, EverySplitGivesTheSameResult) {
  std::vector<std::string> bodies = good_bodies();
  bodies.insert(bodies.end(), bad_bodies().begin(), bad_bodies().end());
  for (const std::string& full : bodies) {
    const std::string body = full.substr(0, 120);
    const Decoded whole = decode(body);
    std::vector<std::size_t> each_byte;
    for (std::size_t cut = 1; cut < body.size(); ++cut) {
      each_byte.push_back(cut);
      ASSERT_EQ(decode(body, {cut}), whole) << body << " cut at " << cut;
      for (std::size_t second = cut + 1; second < body.size() && body.size() < 32; ++second) {
        ASSERT_EQ(decode(body, {cut, second}), whole) << body << " cut at " << cut << " and " << second;
      }
    }
    ASSERT_EQ(decode(body, each_byte), whole) << body;
  }
}

TEST(Chunked, EveryPrefixOfAGoodBodyNeedsMore) {
  for (const std::string& body : good_bodies()) {
    for (std::size_t size = 0; size < body.size(); ++size) {
      EXPECT_EQ(decode(std::string_view(body).substr(0, size)).end, ChunkedDecoder::Event::kNeedMore) << body;
    }
  }
}

}  // namespace
}  // namespace msp::http
