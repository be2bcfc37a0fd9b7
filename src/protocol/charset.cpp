// SPDX-License-Identifier: Apache-2.0
#include "protocol/charset.h"

#include <algorithm>
#include <cstdint>

namespace msp::protocol {
namespace {

Error refused(std::string what) {
  return Error{.source = Source::kHost,
               .message = std::move(what),
               .hint = "the host should answer with application/json; charset=utf-8",
               .code = 0};
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

Result<std::string> from_utf16(std::string_view body) {
  const auto unit = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(body[i]) | static_cast<unsigned char>(body[i + 1])
                                                                                << 8);
  };
  if (body.size() % 2 != 0) {
    return refused("the answer is UTF-16 with an odd number of bytes");
  }
  std::string out;
  out.reserve(body.size());
  for (std::size_t i = 0; i < body.size(); i += 2) {
    const std::uint32_t c = unit(i);
    if (c < 0xD800 || c > 0xDFFF) {
      append_utf8(out, c);
      continue;
    }
    const std::uint32_t low = c <= 0xDBFF && i + 3 < body.size() ? unit(i + 2) : 0;
    const bool pair = low >= 0xDC00 && low <= 0xDFFF;
    append_utf8(out, pair ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD);
    i += pair ? 2 : 0;
  }
  return out;
}

}  // namespace

Result<std::string> text_of_body(std::string_view body, std::string_view content_type) {
  std::string type(content_type);
  std::ranges::transform(type, type.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (type.contains("xml")) {
    return refused("the answer is XML, not JSON");
  }
  if (type.contains("utf-32")) {
    return refused("the answer is UTF-32");
  }
  if (type.contains("utf-16")) {
    return from_utf16(body);
  }
  return std::string(body);
}

}  // namespace msp::protocol
