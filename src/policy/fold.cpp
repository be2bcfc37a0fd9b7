// SPDX-License-Identifier: Apache-2.0
#include "policy/fold.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "request/percent.h"

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

int hex_value(char c) { return request::kByteClass.hex[static_cast<unsigned char>(c)]; }

constexpr std::uint32_t kReplacement = 0xfffd;
constexpr std::uint32_t kCapitalSigma = 0x3a3;
constexpr std::uint32_t kSmallSigma = 0x3c3;
constexpr std::uint32_t kFinalSigma = 0x3c2;
constexpr std::uint32_t kCapitalIWithDot = 0x130;
constexpr std::uint32_t kCombiningDotAbove = 0x307;

constexpr char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// What a byte of a request folds to if it stands for itself, as nearly all do.
constexpr char kNotPlain = '\0';
constexpr auto kPlain = [] {
  std::array<char, 256> out{};
  for (std::size_t c = 1; c < 0x80; ++c) {
    out[c] = lower_ascii(static_cast<char>(c));
  }
  out['%'] = kNotPlain;
  return out;
}();

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

/// ASCII letters of eight bytes at once; the others stay.
std::uint64_t lower_word(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t low_bits = word & (kOnes * 0x7f);
  const std::uint64_t from_a = low_bits + kOnes * (0x80 - 'A');
  const std::uint64_t above_z = low_bits + kOnes * (0x7f - 'Z');
  const std::uint64_t upper = (from_a ^ above_z) & ~word & (kOnes * 0x80);
  return word | (upper >> 2);
}

/// Copies text without escapes, ASCII letters lowered if `fold`; returns whether a byte is outside ASCII.
bool copy_run(std::string_view run, char* to, bool fold) {
  std::uint64_t seen = 0;
  std::size_t i = 0;
  for (std::uint64_t word = 0; i + sizeof word <= run.size(); i += sizeof word) {
    std::memcpy(&word, run.data() + i, sizeof word);
    seen |= word;
    word = fold ? lower_word(word) : word;
    std::memcpy(to + i, &word, sizeof word);
  }
  for (; i < run.size(); ++i) {
    seen |= static_cast<unsigned char>(run[i]);
    to[i] = fold ? lower_ascii(run[i]) : run[i];
  }
  return (seen & 0x8080808080808080) != 0;
}

/// Decodes once into `out`, which has room for raw.size() bytes; ASCII letters are lowered on the way if `fold`.
/// Returns the number of bytes, and by `high` whether one was outside ASCII.
std::size_t percent_decode(std::string_view raw, char* out, bool fold, bool& high) {
  char* to = out;
  while (!raw.empty()) {
    const std::string_view run = raw.substr(0, raw.find('%'));
    high |= copy_run(run, to, fold);
    to += run.size();
    raw.remove_prefix(run.size());
    if (raw.empty()) {
      break;
    }
    const int first = raw.size() > 2 ? hex_value(raw[1]) : -1;
    const int second = raw.size() > 2 ? hex_value(raw[2]) : -1;
    const bool escape = first >= 0 && second >= 0;
    const char c = escape ? static_cast<char>(first * 16 + second) : '%';
    raw.remove_prefix(escape ? 3 : 1);
    high |= static_cast<unsigned char>(c) >= 0x80;
    *to++ = fold ? lower_ascii(c) : c;
  }
  return static_cast<std::size_t>(to - out);
}

}  // namespace

void append_lower(std::string_view text, std::pmr::string& out) {
  const std::size_t start = out.size();
  out.resize(start + text.size());
  if (!copy_run(text, out.data() + start, true)) {
    return;
  }
  out.resize(start);
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

bool equals_decoded_lower(std::string_view raw, std::string_view text) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < raw.size(); ++i, ++at) {
    char c = raw[i];
    if (const char plain = kPlain[static_cast<unsigned char>(c)]; plain != kNotPlain) {
      if (at >= text.size() || plain != text[at]) {
        return false;
      }
      continue;
    }
    if (c == '%' && raw.size() - i > 2 && hex_value(raw[i + 1]) >= 0 && hex_value(raw[i + 2]) >= 0) {
      c = static_cast<char>(hex_value(raw[i + 1]) * 16 + hex_value(raw[i + 2]));
      i += 2;
    }
    if (static_cast<unsigned char>(c) >= 0x80) {
      std::pmr::string folded;
      append_decoded_lower(raw, folded);
      return std::string_view(folded) == text;
    }
    // ASCII before a character outside it is final: no rule of Unicode looks back to change it.
    if (at >= text.size() || lower_ascii(c) != text[at]) {
      return false;
    }
  }
  return at == text.size();
}

void append_decoded_lower(std::string_view raw, std::pmr::string& out) {
  const std::size_t start = out.size();
  bool high = false;
  out.resize(start + raw.size());
  const std::size_t size = percent_decode(raw, out.data() + start, true, high);
  out.resize(start + size);
  if (high) {  // rare: once more, with the whole of Unicode
    out.resize(start);
    std::pmr::string decoded(raw.size(), '\0', out.get_allocator());
    decoded.resize(percent_decode(raw, decoded.data(), false, high));
    append_lower(decoded, out);
  }
}

}  // namespace msp::policy
