// SPDX-License-Identifier: Apache-2.0
#include "http/head_writer.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace msp::http {
namespace {

using namespace std::string_view_literals;

TEST(HeadWriter, WritesLowerCaseNamesAndKeepsValues) {
  std::string out = "before ";
  HeadWriter writer(out);
  writer.request_line("PATCH", "/a?b").header("Host", "H").header("metadata", "True ").header("content-length", 44U);
  const auto head = writer.finish();
  ASSERT_TRUE(head);
  EXPECT_EQ(*head, "PATCH /a?b HTTP/1.1\r\nhost: H\r\nmetadata: True \r\ncontent-length: 44\r\n\r\n");
  EXPECT_EQ(out.substr(0, 7), "before ");
}

TEST(HeadWriter, WritesOriginFormFromParts) {
  std::string out;
  HeadWriter writer(out);
  Target target{TargetForm::kAbsolute, "http", "h", "/", "", true};
  writer.request_line("GET", target);
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(out, "GET /? HTTP/1.1\r\n\r\n");
}

TEST(HeadWriter, WritesStatusLines) {
  std::array<char, 128> memory{};
  HeadWriter writer(memory);
  writer.status_line(410, 0).header("x", "");
  const auto head = writer.finish();
  ASSERT_TRUE(head);
  EXPECT_EQ(*head, "HTTP/1.0 410 Gone\r\nx: \r\n\r\n");
  EXPECT_EQ(head->data(), memory.data());
}

TEST(HeadWriter, RefusesWhatCouldSplitAMessage) {
  const auto fails = [](auto&& write) {
    std::string out;
    HeadWriter writer(out);
    write(writer);
    const auto head = writer.finish();
    return !head && head.error().source == Source::kBug;
  };
  for (const std::string_view bad : {"a\r\nb"sv, "a\nb"sv, "a\rb"sv, "a\0b"sv}) {
    EXPECT_TRUE(fails([bad](HeadWriter& w) { w.header("x", bad); }));
    EXPECT_TRUE(fails([bad](HeadWriter& w) { w.header(bad, "x"); }));
    EXPECT_TRUE(fails([bad](HeadWriter& w) { w.status_line(200, 1, bad); }));
    EXPECT_TRUE(fails([bad](HeadWriter& w) { w.request_line("GET", bad); }));
    EXPECT_TRUE(fails([bad](HeadWriter& w) { w.request_line(bad, "/"); }));
    EXPECT_TRUE(
        fails([bad](HeadWriter& w) { w.request_line("GET", Target{TargetForm::kOrigin, "", "", "/", bad, true}); }));
  }
  EXPECT_TRUE(fails([](HeadWriter& w) { w.header("", "x"); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.header("a b", "x"); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.header("a:", "x"); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.request_line("GET", "/a b"); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.request_line("GET", ""); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.status_line(99); }));
}

TEST(HeadWriter, FixedMemoryNeverOverflows) {
  const std::string expected = "HTTP/1.1 200 OK\r\nabc: def\r\n\r\n";
  for (std::size_t size = 0; size <= expected.size(); ++size) {
    std::string memory(size + 8, '#');
    HeadWriter writer(std::span<char>(memory.data(), size));
    writer.status_line(200).header("ABC", "def");
    EXPECT_EQ(writer.finish().ok(), size == expected.size()) << size;
    EXPECT_EQ(memory.substr(size), "########");
  }
}

TEST(HeadWriter, DoesNotAllocateWithinCapacity) {
  std::string out;
  out.reserve(4096);
  const char* const memory = out.data();
  for (int i = 0; i < 3; ++i) {
    out.clear();
    HeadWriter writer(out);
    writer.request_line("GET", "/").header("a", std::string(2000, 'x'));
    ASSERT_TRUE(writer.finish());
    EXPECT_EQ(out.data(), memory);
  }
}

}  // namespace
}  // namespace msp::http
