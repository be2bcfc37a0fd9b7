// SPDX-License-Identifier: Apache-2.0
#include "policy/fold.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace msp::policy {
namespace {

struct LowerRange {
  std::uint32_t first;
  std::uint32_t last;
  std::int32_t step;
  std::int32_t distance;
};
struct CodeRange {
  std::uint32_t first;
  std::uint32_t last;
};

#include "policy/unicode_tables.inc"

constexpr std::uint32_t kReplacement = 0xfffd;
constexpr std::uint32_t kCapitalSigma = 0x3a3;
constexpr std::uint32_t kSmallSigma = 0x3c3;
constexpr std::uint32_t kFinalSigma = 0x3c2;
constexpr std::uint32_t kCapitalIWithDot = 0x130;
constexpr std::uint32_t kCombiningDotAbove = 0x307;

bool is_ascii(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool contains(const CodeRange* begin, const CodeRange* end, std::uint32_t code) {
  const CodeRange* range = std::partition_point(begin, end, [&](const CodeRange& r) { return r.last < code; });
  return range != end && range->first <= code;
}

bool is_skipped_by_sigma(std::uint32_t code) {
  if (code < 0x80) {
    return code == '\'' || code == '.' || code == ':' || code == '^' || code == '`';
  }
  return contains(std::begin(kSkippedBySigma), std::end(kSkippedBySigma), code);
}

bool is_cased(std::uint32_t code) {
  if (code < 0x80) {
    return (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z');
  }
  return contains(std::begin(kCased), std::end(kCased), code);
}

std::uint32_t simple_lower(std::uint32_t code) {
  if (code < 0x80) {
    return static_cast<unsigned char>(lower_ascii(static_cast<char>(code)));
  }
  const LowerRange* range =
      std::partition_point(std::begin(kLower), std::end(kLower), [&](const LowerRange& r) { return r.last < code; });
  if (range == std::end(kLower) || range->first > code ||
      (code - range->first) % static_cast<std::uint32_t>(range->step) != 0) {
    return code;
  }
  return static_cast<std::uint32_t>(static_cast<std::int64_t>(code) + range->distance);
}

/// Takes one character off the front of `rest` (not empty); U+FFFD for the longest ill-formed part that could have
/// begun a character (Unicode 3.9, "substitution of maximal subparts"), as the decoders of Rust and Python do.
std::uint32_t take_character(std::string_view& rest) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(rest[at]); };
  const unsigned char lead = byte(0);
  std::size_t length = 1;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  std::uint32_t code = lead;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
    code = lead & 0x1fu;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    code = lead & 0x0fu;
    low = lead == 0xe0 ? 0xa0 : 0x80;
    high = lead == 0xed ? 0x9f : 0xbf;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    code = lead & 0x07u;
    low = lead == 0xf0 ? 0x90 : 0x80;
    high = lead == 0xf4 ? 0x8f : 0xbf;
  } else if (lead >= 0x80) {
    code = kReplacement;
  }
  std::size_t taken = 1;
  for (; taken < length; ++taken) {
    if (taken >= rest.size() || byte(taken) < low || byte(taken) > high) {
      code = kReplacement;
      break;
    }
    code = (code << 6) | (byte(taken) & 0x3fu);
    low = 0x80;
    high = 0xbf;
  }
  rest.remove_prefix(taken);
  return code;
}

void append_utf8(std::uint32_t code, std::pmr::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

/// A cased character follows, not counting skipped ones. Each run of skipped characters is looked through by the one
/// sigma before it, so that a whole text still costs linear time.
bool cased_follows(std::string_view rest) {
  while (!rest.empty()) {
    const std::uint32_t code = take_character(rest);
    if (!is_skipped_by_sigma(code)) {
      return is_cased(code);
    }
  }
  return false;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char folded = lower_ascii(c);
  return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10 : -1;
}

void append_percent_decoded(std::string_view raw, std::pmr::string& out) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '%' && i + 2 < raw.size() && hex_value(raw[i + 1]) >= 0 && hex_value(raw[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(raw[i + 1]) * 16 + hex_value(raw[i + 2]));
      i += 2;
    } else {
      out += raw[i];
    }
  }
}

}  // namespace

void append_lower(std::string_view text, std::pmr::string& out) {
  if (is_ascii(text)) {
    const std::size_t start = out.size();
    out.resize(start + text.size());
    std::ranges::transform(text, out.begin() + static_cast<std::ptrdiff_t>(start), lower_ascii);
    return;
  }
  bool cased_before = false;
  for (std::string_view rest = text; !rest.empty();) {
    const std::uint32_t code = take_character(rest);
    if (code == kCapitalSigma) {
      append_utf8(cased_before && !cased_follows(rest) ? kFinalSigma : kSmallSigma, out);
    } else if (code == kCapitalIWithDot) {
      out += 'i';
      append_utf8(kCombiningDotAbove, out);
    } else {
      append_utf8(simple_lower(code), out);
    }
    if (!is_skipped_by_sigma(code)) {
      cased_before = is_cased(code);
    }
  }
}

std::string lower(std::string_view text) {
  std::pmr::string out;
  append_lower(text, out);
  return std::string(out);
}

void append_decoded_lower(std::string_view raw, std::pmr::string& out) {
  if (raw.find('%') == std::string_view::npos) {
    append_lower(raw, out);
    return;
  }
  std::pmr::string decoded(out.get_allocator());
  decoded.reserve(raw.size());
  append_percent_decoded(raw, decoded);
  append_lower(decoded, out);
}

}  // namespace msp::policy
