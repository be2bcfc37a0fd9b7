// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "http/target.h"
#include "request/canonical_request.h"
#include "request/destination.h"
#include "request/traversal.h"
#include "tests/vectors/golden.h"

namespace msp::request {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// What a vector says about one request, in values.
struct Outcome {
  std::string reject;
  std::vector<std::string> segments;
  bool trailing_slash = false;
  Pairs query;
  Destination destination;
};

std::string destination_text(const Destination& d) {
  if (d.service) {
    return std::string(to_string(*d.service));
  }
  std::array<char, INET6_ADDRSTRLEN> ip{};
  if (d.family != HostFamily::kName) {
    inet_ntop(d.family == HostFamily::kIpv4 ? AF_INET : AF_INET6, d.address.data(), ip.data(), ip.size());
  }
  return "unknown " + std::string(ip.data()) + " " + std::to_string(d.port) + " " + std::string(d.host);
}

std::string destination_text(const json::Value& expect) {
  const json::Value& d = *expect.find("destination");
  if (golden::text(d, "kind") != "unknown") {
    return golden::text(d, "kind");
  }
  const std::string* const ip = d.find("ip")->string();
  const std::string* const host = d.find("host_text")->string();
  return "unknown " + (ip != nullptr ? *ip : std::string()) + " " + std::to_string(*d.find("port")->int64()) + " " +
         (host != nullptr ? *host : std::string());
}

Outcome run(std::string_view method, std::string_view raw) {
  Outcome out;
  const auto target = http::parse_target(raw);
  if (!target) {
    out.reject = "PARSE";
    return out;
  }
  Arena arena;
  CanonicalRequest request;
  if (const Fault fault = canonicalize(method, *target, arena, request); fault != Fault::kNone) {
    out.reject = canon_name(fault);
    return out;
  }
  out.segments.assign(request.path.segments.begin(), request.path.segments.end());
  out.trailing_slash = request.path.trailing_slash;
  for (const QueryPair& pair : request.query.pairs) {
    out.query.emplace_back(pair.key, pair.value);
  }
  out.destination = request.destination;
  return out;
}

/// The target that the normal form stands for (protocol.md F, rendering).
std::string render(const Outcome& outcome) {
  const auto escape = [](std::string_view text, std::string_view special) {
    std::string out;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte <= 0x20 || byte >= 0x7F || special.contains(c)) {
        constexpr std::string_view kDigits = "0123456789ABCDEF";
        out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
      } else {
        out += c;
      }
    }
    return out;
  };
  std::string out;
  for (const std::string& segment : outcome.segments) {
    out += "/" + escape(segment, "%#?;");
  }
  out += outcome.segments.empty() || outcome.trailing_slash ? "/" : "";
  char separator = '?';
  for (const auto& [key, value] : outcome.query) {
    out += separator + escape(key, "%#&=+") + "=" + escape(value, "%#&=+");
    separator = '&';
  }
  return out;
}

TEST(Canonical, AgreesWithEveryVector) {
  const json::Value file = golden::load("canonical.json");
  std::size_t checked = 0;
  for (const json::Value& value : golden::list(file, "vectors")) {
    SCOPED_TRACE(golden::text(value, "name"));
    const std::string raw = golden::latin1(golden::text(value, "input_target"));
    const json::Value& expect = *value.find("expect");
    const Outcome got = run(golden::text(value, "method"), raw);
    ++checked;
    if (expect.find("reject") != nullptr) {
      EXPECT_EQ(got.reject, golden::text(expect, "reject"));
      continue;
    }
    ASSERT_EQ(got.reject, "");
    std::vector<std::string> segments;
    for (const json::Value& segment : golden::list(expect, "path_segments")) {
      segments.push_back(*segment.string());
    }
    EXPECT_EQ(got.segments, segments);
    EXPECT_EQ(got.trailing_slash, golden::flag(expect, "trailing_slash"));
    Pairs pairs;
    for (const json::Value& pair : golden::list(expect, "query_pairs")) {
      pairs.emplace_back(*pair.array()->at(0).string(), *pair.array()->at(1).string());
    }
    EXPECT_EQ(got.query, pairs);
    EXPECT_EQ(destination_text(got.destination), destination_text(expect));
  }
  EXPECT_EQ(checked, 163u);
}

TEST(Canonical, TheFieldsTraversalCheckAgreesWithEveryVector) {
  const json::Value file = golden::load("canonical.json");
  std::size_t checked = 0;
  for (const json::Value& value : golden::list(file, "vectors")) {
    const json::Value* const expect = value.find("legacy_traversal_check");
    const std::string raw = golden::latin1(golden::text(value, "input_target"));
    const auto target = http::parse_target(raw);
    if (expect == nullptr || !target) {
      continue;
    }
    EXPECT_EQ(has_traversal_in_the_field(target->path), *expect->string() == "reject") << raw;
    ++checked;
  }
  EXPECT_GT(checked, 140u);
}

// Numbers of a fixed series: a failure must be found again.
class Series {
 public:
  explicit Series(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % bound;
  }

 private:
  std::uint64_t state_;
};

std::string random_target(Series& series) {
  constexpr std::array<std::string_view, 34> kPieces{
      "/",   "/",     "/",   "a",   "B",   "metadata", ".",      "..", ";x", ";",  "%2e", "%2F",
      "%25", "%252e", "%3B", "%41", "%20", "%7e",      "%C3%A9", "?",  "?",  "&",  "&",   "=",
      "=",   "+",     "%2B", "k",   "K",   "%26",      "%3D",    "~",  "|",  "%23"};
  std::string out = "/";
  for (std::uint64_t n = series.below(24); n > 0; --n) {
    out += kPieces[series.below(kPieces.size())];
  }
  return out;
}

TEST(Canonical, TheNormalFormIsItsOwnNormalForm) {
  Series series(20250423);
  std::size_t accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    const std::string raw = random_target(series);
    const Outcome once = run("GET", raw);
    if (!once.reject.empty()) {
      continue;
    }
    ++accepted;
    const std::string rendered = render(once);
    const Outcome twice = run("GET", rendered);
    ASSERT_EQ(twice.reject, "") << raw << " -> " << rendered;
    ASSERT_EQ(twice.segments, once.segments) << raw << " -> " << rendered;
    ASSERT_EQ(twice.query, once.query) << raw << " -> " << rendered;
    ASSERT_EQ(twice.trailing_slash, once.trailing_slash) << raw << " -> " << rendered;
  }
  EXPECT_GT(accepted, 10'000u);
}

TEST(Canonical, RulesMayHoldAnyBytes) {
  Arena arena;
  CanonicalPath path;
  EXPECT_EQ(canonicalize_path("", arena, path), Fault::kNone);
  EXPECT_TRUE(path.segments.empty());
  EXPECT_EQ(canonicalize_path("metadata/x", arena, path), Fault::kNone);
  EXPECT_EQ(path.segments.size(), 2u);
  EXPECT_EQ(canonicalize_path("/a?b", arena, path), Fault::kCanonEmbeddedQuery);
  EXPECT_EQ(canonicalize_path("/caf\xC3\xA9", arena, path), Fault::kCanonNonAscii);
  EXPECT_EQ(canonicalize_path("/caf\xC3", arena, path), Fault::kCanonUtf8);
  EXPECT_EQ(canonicalize_path(std::string_view("/a\0b", 4), arena, path), Fault::kCanonCtrl);
}

TEST(Canonical, AnOrdinaryRequestTakesNothingFromTheHeap) {
  Arena arena;
  CanonicalRequest request;
  const auto target = http::parse_target(
      "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F");
  for (int i = 0; i < 3; ++i) {
    arena.reset();
    ASSERT_EQ(canonicalize("GET", *target, arena, request), Fault::kNone);
    EXPECT_EQ(arena.heap_blocks(), 0u);
  }
}

TEST(Canonical, TheLargestTargetFits) {
  std::string raw = "/";
  while (raw.size() + 2 <= http::kMaxTargetBytes) {
    raw += "a/";
  }
  EXPECT_EQ(run("GET", raw).segments.size(), (raw.size() - 1) / 2);
}

TEST(Canonical, PortsEndAt65535) {
  Destination destination;
  EXPECT_EQ(classify_authority("host:65535", destination), Fault::kNone);
  EXPECT_EQ(destination.port, 65535);
  for (const char* beyond : {"host:65536", "host:99999", "host:4294967376"}) {
    EXPECT_EQ(canon_name(classify_authority(beyond, destination)), "CANON_PORT") << beyond;
  }
}

TEST(Canonical, NumbersOfAnAddressFillWhatIsLeftAndNoMore) {
  Destination destination;
  for (const char* fits : {"4294967295", "127.16777215", "1.2.65535", "1.2.3.255"}) {
    EXPECT_EQ(classify_authority(fits, destination), Fault::kNone) << fits;
  }
  for (const char* beyond : {"4294967296", "127.16777216", "1.2.65536", "1.2.3.256", "256.1"}) {
    EXPECT_EQ(canon_name(classify_authority(beyond, destination)), "CANON_HOST") << beyond;
  }
}

TEST(Traversal, WholeSegmentsAndEmptyOnes) {
  for (const std::string_view path : {"/..", "/a/..", "/../a", "/a/../b", "//", "//a", "/a//b", "/a//", "/%2e%2e/a",
                                      "/a/%2E.", "/a%2F..", "/a%2f%2e%2e%2fb", "/%2Fa", "/a%2F%2Fb", "/a/%2F", ".."}) {
    EXPECT_TRUE(has_traversal(path)) << path;
  }
  for (const std::string_view path : {"/", "/a", "/a/", "/a..b", "/..a", "/a..", "/...", "/.", "/a/./b", "/%252e%252e",
                                      "/a;..", "/%", "/%2", "/.%zz.", "*", "", "/%2", "/a%2Fb"}) {
    EXPECT_FALSE(has_traversal(path)) << path;
  }
}

TEST(Traversal, TheSecureChannelIsSeenInEverySpelling) {
  for (const std::string_view path :
       {"/secure-channel", "/secure-channel/", "/secure-channel/key", "/Secure-Channel/status", "/secure%2Dchannel",
        "/secure-channel%2Fstatus", "//secure-channel", "/./secure-channel/x", "/;a/secure-channel",
        "/secure-channel;v=1/key", "/%2Fsecure-channel", "/a/../secure-channel", "/a/..;x/secure-channel/key",
        "/.;x/secure-channel", "secure-channel",
        // A backslash for a slash, blanks and controls around the name, an end that only some see.
        "/secure-channel\\key", "\\secure-channel/key", "/secure-channel%5ckey", "/%5Csecure-channel%5Ckey",
        "/a/..\\secure-channel/key", "/secure-channel%20/key", "/%20secure-channel/key", "/secure-channel%09",
        "/secure%0a-channel/key", "/secure-channel%00/key", "/secure-channel%00x", "/secure-channel%3fx",
        "/secure-channel%23/key", "/%7fsecure-channel", "/ secure-channel", "/%20/secure-channel/key",
        // Whoever climbs may be read in more than one way: after that it is seen at any depth.
        "/a/../b/secure-channel"}) {
    EXPECT_TRUE(reaches_secure_channel(path)) << path;
  }
  for (const std::string_view path :
       {"/", "", "/metadata/instance", "/a/secure-channel", "/secure-channels", "/secure-channe", "/secure_channel",
        "/xsecure-channel", "/secure-channel%252F", "/a%5csecure-channel", "/secure%20channel", "/secure-channelkey%5c",
        "/a%20/secure-channel"}) {
    EXPECT_FALSE(reaches_secure_channel(path)) << path;
  }
}

}  // namespace
}  // namespace msp::request
