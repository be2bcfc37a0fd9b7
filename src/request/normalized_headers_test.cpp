// SPDX-License-Identifier: Apache-2.0
#include "request/normalized_headers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace msp::request {
namespace {

using Lines = std::vector<std::pair<std::string_view, std::string_view>>;

class Normalized {
 public:
  explicit Normalized(const Lines& lines, int minor_version = 1) {
    head_.method = "GET";
    head_.minor_version = minor_version;
    for (const auto& [name, value] : lines) {
      EXPECT_TRUE(head_.headers.push({.name = name, .value = value}));
    }
    fault = normalize_headers(head_, arena, headers);
  }

  /// "name: value" lines.
  std::string text() const {
    std::string out;
    for (const http::Header& header : headers.list()) {
      out += std::string(header.name) + ": " + std::string(header.value) + "\n";
    }
    return out;
  }

  Arena arena;
  NormalizedHeaders headers;
  Fault fault = Fault::kNone;

 private:
  http::RequestHead head_;
};

TEST(NormalizedHeaders, NamesInLowerCaseInTheOrderOfFirstAppearance) {
  const Normalized n({{"Host", "h"}, {"User-Agent", "curl/8"}, {"accept", "*/*"}, {"Metadata", "TRUE"}, {"X", ""}});
  EXPECT_EQ(n.fault, Fault::kNone);
  EXPECT_EQ(n.text(), "host: h\nuser-agent: curl/8\naccept: */*\nmetadata: TRUE\nx: \n");
  EXPECT_EQ(n.headers.stripped(), 0u);
  EXPECT_EQ(n.arena.heap_blocks(), 0u);
}

TEST(NormalizedHeaders, TrustedHeadersAreStrippedAndCounted) {
  const Normalized n({{"x-ms-azure-host-claims", "{ \"isRoot\": \"true\"}"},
                      {"X-MS-Azure-Host-Authorization", "\xFF"},
                      {"x-ms-azure-host-date", "now"},
                      {"x-ms-azure-host-date", "then"},
                      {"x_ms_azure_host_claims", "x"},
                      {"x-ms-azure-host-anything", "x"},
                      {"host", "h"},
                      {"x-ms-azure-host", "stays"},
                      {"x-ms-version", "2012-11-30"}});
  EXPECT_EQ(n.fault, Fault::kNone);
  EXPECT_EQ(n.text(), "host: h\nx-ms-azure-host: stays\nx-ms-version: 2012-11-30\n");
  EXPECT_EQ(n.headers.stripped(), 6u);
}

TEST(NormalizedHeaders, HeadersOfTheConnectionAndTheFramingAreOurs) {
  const Normalized n({{"Connection", "close, Upgrade, HTTP2-Settings"},
                      {"keep-alive", "timeout=5"},
                      {"proxy-connection", "keep-alive"},
                      {"TE", "trailers"},
                      {"upgrade", "h2c"},
                      {"http2-settings", "AAMAAABkAAQAAP__"},
                      {"expect", "100-Continue"},
                      {"transfer-encoding", "chunked"},
                      {"trailer", "x"},
                      {"host", "h"}});
  EXPECT_EQ(n.fault, Fault::kNone);
  EXPECT_EQ(n.text(), "host: h\n");
}

TEST(NormalizedHeaders, AConnectionHeaderMayNotNameAnother) {
  EXPECT_EQ(Normalized({{"connection", "x-ms-azure-host-claims"}}).fault, Fault::kConnectionNamesHeader);
  EXPECT_EQ(Normalized({{"connection", "close"}, {"connection", "keep-alive, Metadata"}}).fault,
            Fault::kConnectionNamesHeader);
  EXPECT_EQ(Normalized({{"connection", "close"}, {"connection", "keep-alive"}}).fault, Fault::kNone);
}

TEST(NormalizedHeaders, OtherExpectations) {
  EXPECT_EQ(Normalized({{"expect", "200-ok"}}).fault, Fault::kExpectationFailed);
  EXPECT_EQ(Normalized({{"expect", "200-ok"}}, 0).fault, Fault::kNone);
}

TEST(NormalizedHeaders, ListsAreJoined) {
  const Normalized n({{"Accept", "text/plain"},
                      {"host", "h"},
                      {"accept", ""},
                      {"ACCEPT", "*/*"},
                      {"x-forwarded-for", "1.2.3.4"},
                      {"X-Forwarded-For", "5.6.7.8"},
                      {"via", ""},
                      {"via", ""}});
  EXPECT_EQ(n.fault, Fault::kNone);
  EXPECT_EQ(n.text(), "accept: text/plain, */*\nhost: h\nx-forwarded-for: 1.2.3.4, 5.6.7.8\nvia: \n");
}

TEST(NormalizedHeaders, OthersMayNotBeRepeated) {
  for (const std::string_view name :
       {"host", "content-length", "content-type", "authorization", "metadata", "x-ms-version", "x-ms-client-request-id",
        "cookie", "user-agent", "range", "date", "anything-unknown"}) {
    EXPECT_EQ(Normalized({{name, "a"}, {"x", "y"}, {name, "a"}}).fault, Fault::kHeaderRepeated) << name;
    EXPECT_EQ(Normalized({{name, "a"}, {"x", "y"}}).fault, Fault::kNone) << name;
  }
  EXPECT_EQ(Normalized({{"Metadata", "true"}, {"mETADATA", "true"}}).fault, Fault::kHeaderRepeated);
}

// What stands behind the host may read '_' as '-', and then the second value counts, or both.
TEST(NormalizedHeaders, NamesThatOnlyUnderscoresTellApartAreTheSame) {
  EXPECT_EQ(Normalized({{"x-ms-version", "1"}, {"x_ms_version", "2"}}).fault, Fault::kHeaderRepeated);
  EXPECT_EQ(Normalized({{"x_ms_version", "1"}, {"host", "h"}, {"X-MS-Version", "2"}}).fault, Fault::kHeaderRepeated);
  EXPECT_EQ(Normalized({{"x-ms_version", "1"}, {"x_ms-version", "1"}}).fault, Fault::kHeaderRepeated);
  EXPECT_EQ(Normalized({{"content-type", "a"}, {"Content_Type", "b"}}).fault, Fault::kHeaderRepeated);
  EXPECT_EQ(Normalized({{"x-forwarded-for", "a"}, {"x_forwarded_for", "b"}}).fault, Fault::kHeaderRepeated);
  EXPECT_EQ(Normalized({{"x_ms_version", "1"}, {"x_ms_versions", "1"}, {"x-ms.version", "1"}, {"x-b", "1"}}).text(),
            "x_ms_version: 1\nx_ms_versions: 1\nx-ms.version: 1\nx-b: 1\n");
}

TEST(NormalizedHeaders, ValuesThatCannotBeSigned) {
  EXPECT_EQ(Normalized({{"a", "h\xC3\xA9"}}).fault, Fault::kHeaderUnsignable);
  EXPECT_EQ(Normalized({{"a", "x\x7F"}}).fault, Fault::kHeaderUnsignable);
  EXPECT_EQ(Normalized({{"a", "tab\tand blank"}}).fault, Fault::kNone);
}

TEST(NormalizedHeaders, SetReplacesInPlaceOrAppends) {
  Normalized n({{"host", "h"}, {"content-length", "3"}, {"z", "1"}});
  n.headers.set("content-length", "5");
  n.headers.set("x-ms-azure-host-claims", "c");
  n.headers.set("x-ms-azure-host-claims", "d");
  EXPECT_EQ(n.text(), "host: h\ncontent-length: 5\nz: 1\nx-ms-azure-host-claims: d\n");
  n.headers.remove("content-length");
  EXPECT_EQ(n.text(), "host: h\nz: 1\nx-ms-azure-host-claims: d\n");
  EXPECT_EQ(n.headers.find("content-length"), nullptr);
  EXPECT_EQ(n.headers.find("z")->value, "1");
}

TEST(NormalizedHeaders, TheLargestHeadStaysWithinBounds) {
  const std::string value(600, 'v');
  Lines lines;
  for (std::size_t i = 0; i < http::kMaxHeaders; ++i) {
    lines.emplace_back("accept", value);
  }
  Normalized n(lines);
  EXPECT_EQ(n.fault, Fault::kNone);
  EXPECT_EQ(n.headers.list()[0].value.size(), 100 * 600 + 99 * 2);
  EXPECT_LE(n.arena.heap_blocks(), 2u);
  for (std::size_t i = 0; i < NormalizedHeaders::kRoom; ++i) {
    n.headers.set(std::string_view("abcdefgh").substr(i, 1), "v");
  }
  EXPECT_EQ(n.headers.list().size(), 1 + NormalizedHeaders::kRoom);
}

}  // namespace
}  // namespace msp::request
