// SPDX-License-Identifier: Apache-2.0
// Reads golden vector files in tests. Strings of raw bytes map one code point to one byte (ISO-8859-1).
// Used by test programs, on one thread.
// A missing or broken file, or a vector without an expected member, fails the test that asked.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/json.h"

namespace msp::golden {

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// tests/vectors/<name>, parsed.
inline json::Value load(std::string_view name) {
  const std::string text = read_file(std::string(MSP_SOURCE_DIR) + "/tests/vectors/" + std::string(name));
  Result<json::Value> value = json::parse(text, {.max_bytes = std::size_t{16} << 20, .max_nodes = 1'000'000});
  EXPECT_TRUE(value) << (value ? std::string() : value.error().text());
  return value ? std::move(value).value() : json::Value();
}

/// The array under that name; never null.
inline const json::Array& list(const json::Value& object, std::string_view name) {
  static const json::Array kNothing;
  const json::Value* const found = object.find(name);
  EXPECT_TRUE(found != nullptr && found->array() != nullptr) << name;
  return found != nullptr && found->array() != nullptr ? *found->array() : kNothing;
}

inline std::string text(const json::Value& object, std::string_view name) {
  const json::Value* const found = object.find(name);
  EXPECT_TRUE(found != nullptr && found->string() != nullptr) << name;
  return found != nullptr && found->string() != nullptr ? *found->string() : std::string();
}

inline bool flag(const json::Value& object, std::string_view name) {
  const json::Value* const found = object.find(name);
  EXPECT_TRUE(found != nullptr && found->boolean() != nullptr) << name;
  return found != nullptr && found->boolean() != nullptr && *found->boolean();
}

/// UTF-8 of code points up to U+00FF to one byte each.
inline std::string latin1(std::string_view utf8) {
  std::string out;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      EXPECT_TRUE((c == 0xC2 || c == 0xC3) && i + 1 < utf8.size());
      out += static_cast<char>((c & 3) << 6 | (utf8[++i] & 0x3F));
    }
  }
  return out;
}

}  // namespace msp::golden
