// SPDX-License-Identifier: Apache-2.0
#include "content/xml_text.h"

#include "base/utf8.h"

namespace msp::content {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// What XML 1.0 has a place for (section 2.2): U+FFFE and U+FFFF and most control characters have none.
bool is_allowed(std::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence.front());
  if (first < 0x20) {
    return first == '\t' || first == '\n' || first == '\r';
  }
  return sequence != "\xEF\xBF\xBE" && sequence != "\xEF\xBF\xBF";
}

}  // namespace

std::string xml_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = utf8_sequence(text, at);
    const std::string_view sequence = text.substr(at, size == 0 ? 1 : size);
    at += sequence.size();
    if (size == 0 || !is_allowed(sequence)) {
      out += kReplacement;
      continue;
    }
    switch (sequence.front()) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&apos;";
        break;
      case '\t':  // readers turn these three into blanks in attributes
        out += "&#9;";
        break;
      case '\n':
        out += "&#10;";
        break;
      case '\r':
        out += "&#13;";
        break;
      default:
        out += sequence;
    }
  }
  return out;
}

}  // namespace msp::content
