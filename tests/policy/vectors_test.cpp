// SPDX-License-Identifier: Apache-2.0
// All of authorization.json, with the three named exceptions of protocol.md L.31.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "tests/policy/evaluate.h"

namespace msp::test {
namespace {

/// Modes that the field reads as disabled and ours as enforce; only with canonicalRequestMode off the field's reading
/// is kept.
constexpr std::array<std::string_view, 3> kModeExceptions = {"mode-unknown", "mode-empty", "mode-space"};

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string text_of(const json::Value& vector, std::string_view name) {
  const json::Value* const value = vector.find(name);
  return value == nullptr || value->is_null() ? "no-rules" : *value->string();
}

TEST(AuthorizationVectors, EveryVerdictIsAsRecorded) {
  const std::string text = read_file(MSP_SOURCE_DIR "/tests/vectors/authorization.json");
  auto document = json::parse(text);
  ASSERT_TRUE(document) << document.error().text();
  const json::Array& vectors = *document->find("vectors")->array();
  ASSERT_EQ(vectors.size(), 213U);
  std::size_t exceptions = 0;
  for (const json::Value& vector : vectors) {
    const std::string name = *vector.find("name")->string();
    SCOPED_TRACE(name);
    std::optional<RuleItem> item;
    if (const json::Value* rules = vector.find("rules"); !rules->is_null()) {
      auto parsed =
          parse_rule_item(std::string_view(text).substr(rules->begin, rules->end - rules->begin), Source::kHost);
      ASSERT_TRUE(parsed) << parsed.error().text();
      item = *parsed;
    }
    auto got = evaluate_case(compile_item(item), vector);
    ASSERT_TRUE(got) << got.error().text();
    EXPECT_EQ(got->expect_legacy, text_of(vector, "expect_legacy"));
    EXPECT_EQ(got->rules_legacy, text_of(vector, "rules_legacy"));
    if (std::ranges::find(kModeExceptions, name) != kModeExceptions.end()) {
      ++exceptions;
      EXPECT_EQ(got->expect_canonical, "deny");
      EXPECT_EQ(got->enforce, "deny");
      EXPECT_EQ(got->shadow, "deny");
      continue;
    }
    EXPECT_EQ(got->expect_canonical, text_of(vector, "expect_canonical"));
    EXPECT_EQ(got->shadow, got->expect_legacy);
    const bool must_pass = got->expect_canonical == "allow" && got->expect_legacy != "deny" && !vector.find("differs");
    if (must_pass) {
      EXPECT_NE(got->enforce, "deny");
    }
    if (got->expect_canonical.starts_with("reject")) {
      EXPECT_EQ(got->enforce, "deny");
    }
  }
  EXPECT_EQ(exceptions, kModeExceptions.size());
}

}  // namespace
}  // namespace msp::test
