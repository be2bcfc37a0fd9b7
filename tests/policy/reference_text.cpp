// SPDX-License-Identifier: Apache-2.0
#include "tests/policy/reference_text.h"

#include <algorithm>
#include <array>
#include <clocale>
#include <cwctype>
#include <map>

namespace msp::test::reference {
namespace {

using Codes = std::u32string;

std::string encode(char32_t code) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    return {static_cast<char>(code)};
  }
  if (code < 0x800) {
    return {static_cast<char>(0xc0 | (code >> 6)), tail(0)};
  }
  if (code < 0x10000) {
    return {static_cast<char>(0xe0 | (code >> 12)), tail(6), tail(0)};
  }
  return {static_cast<char>(0xf0 | (code >> 18)), tail(12), tail(6), tail(0)};
}

/// The code point that these bytes are, if they are exactly one: it must be encoded like this and no other way.
std::optional<char32_t> one_character(std::string_view bytes) {
  char32_t code = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    constexpr std::array kLeadBits = {0x7f, 0x1f, 0x0f, 0x07};
    const int mark = i > 0 ? 0x3f : kLeadBits.at(bytes.size() - 1);
    code = (code << 6) | (byte & mark);
  }
  const bool exists = code < 0x110000 && (code < 0xd800 || code > 0xdfff);
  return exists && encode(code) == bytes ? std::optional(code) : std::nullopt;
}

/// Whether bytes could follow that make a character of these: tried out with every byte that bounds a range.
bool could_begin(std::string_view bytes) {
  if (bytes.size() > 3) {
    return false;
  }
  return std::ranges::any_of(std::string_view("\x80\x8f\x90\x9f\xa0\xbf"), [&](char next) {
    const std::string longer = std::string(bytes) + next;
    return one_character(longer).has_value() || could_begin(longer);
  });
}

/// Of what is no UTF-8, each longest part that could have begun a character becomes one U+FFFD.
Codes decode_utf8(std::string_view text) {
  Codes out;
  while (!text.empty()) {
    std::size_t size = 0;
    std::optional<char32_t> code;
    for (std::size_t n = 1; n <= 4 && n <= text.size() && !code; ++n) {
      code = one_character(text.substr(0, n));
      size = n;
    }
    if (!code) {
      size = 1;
      while (size < text.size() && could_begin(text.substr(0, size + 1))) {
        ++size;
      }
    }
    out += code.value_or(0xfffd);
    text.remove_prefix(size);
  }
  return out;
}

bool is_utf8(std::string_view text) {
  std::string again;
  for (const char32_t code : decode_utf8(text)) {
    again += encode(code);
  }
  return again == text;
}

locale_t unicode() {
  static const locale_t kLocale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return kLocale;
}

bool is_cased(char32_t code) { return iswupper_l(code, unicode()) != 0 || iswlower_l(code, unicode()) != 0; }

/// Of the characters that a sigma looks past, those that occur in tests.
bool is_looked_past(char32_t code) { return std::u32string_view(U"'.:^`\u00ad\u0301\u0307").contains(code); }

/// A sigma at the end of a word: a letter before it, none behind it.
bool is_final(const Codes& text, std::size_t at) {
  const auto cased = [&](auto first, auto last) {
    const auto found = std::find_if_not(first, last, is_looked_past);
    return found != last && is_cased(*found);
  };
  const auto here = text.begin() + static_cast<std::ptrdiff_t>(at);
  return cased(std::make_reverse_iterator(here), text.rend()) && !cased(here + 1, text.end());
}

int hex(char c) {
  const std::size_t at = std::string_view("0123456789abcdefABCDEF").find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at < 16 ? at : at - 6);
}

/// The byte of the escape that `text` begins with.
std::optional<char> escape(std::string_view text) {
  if (text.size() < 3 || text[0] != '%' || hex(text[1]) < 0 || hex(text[2]) < 0) {
    return std::nullopt;
  }
  return static_cast<char>(hex(text[1]) * 16 + hex(text[2]));
}

bool has_malformed_escape(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && !escape(text.substr(i))) {
      return true;
    }
  }
  return false;
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; });
}

std::string ascii_lower(std::string text) {
  for (char& c : text) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return text;
}

std::string path_fault(std::string_view raw, std::string_view decoded) {
  if (has_malformed_escape(raw)) {
    return "CANON_PCT";
  }
  if (!is_utf8(decoded)) {
    return "CANON_UTF8";
  }
  if (has_control(decoded)) {
    return "CANON_CTRL";
  }
  if (!is_ascii(decoded)) {
    return "CANON_NON_ASCII";
  }
  return decoded.contains('?') ? "CANON_EMBQ" : "";
}

std::string query_fault(std::string_view raw, std::string_view decoded) {
  if (has_malformed_escape(raw)) {
    return "CANON_PCT";
  }
  if (!is_utf8(decoded)) {
    return "CANON_UTF8";
  }
  return has_control(decoded) ? "CANON_CTRL" : "";
}

std::string with_blanks(std::string text) {
  std::ranges::replace(text, '+', ' ');
  return text;
}

std::string escaped(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    const bool plain = c > 0x20 && c < 0x7f && !special.contains(c);
    const auto byte = static_cast<unsigned char>(c);
    const std::string_view digits = "0123456789abcdef";
    out += plain ? std::string(1, c) : std::string{'%', digits[byte / 16], digits[byte % 16]};
  }
  return out;
}

}  // namespace

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out = {""};
  for (const char c : text) {
    if (c == separator) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

Pair cut(std::string_view text, char separator) {
  const std::size_t at = text.find(separator);
  return at == std::string_view::npos ? Pair(text, "") : Pair(text.substr(0, at), text.substr(at + 1));
}

std::string lower(std::string_view text) {
  const Codes codes = decode_utf8(text);
  std::string out;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] == 0x130) {
      out += "i\u0307";
    } else if (codes[i] == 0x3a3) {
      out += is_final(codes, i) ? "\u03c2" : "\u03c3";
    } else {
      out += encode(towlower_l(codes[i], unicode()));
    }
  }
  return out;
}

std::string decode(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::optional<char> byte = escape(text);
    out += byte.value_or(text[0]);
    text.remove_prefix(byte ? 3 : 1);
  }
  return out;
}

Path canonical_path(std::string_view raw) {
  const std::string decoded = decode(raw);
  Path out;
  out.fault = path_fault(raw, decoded);
  if (!out.fault.empty()) {
    return out;
  }
  for (const std::string& part : split(ascii_lower(decoded), '/')) {
    const std::string segment = cut(part, ';').first;
    if (segment == ".." && out.segments.empty()) {
      out.fault = "CANON_UNDERFLOW";
      return out;
    }
    if (segment == "..") {
      out.segments.pop_back();
    } else if (!segment.empty() && segment != ".") {
      out.segments.push_back(segment);
    }
  }
  out.trailing_slash = raw.size() > 1 && raw.ends_with('/') && !out.segments.empty();
  return out;
}

Query canonical_query(std::string_view raw) {
  Query out;
  std::multimap<std::string, std::string> by_key;
  for (const std::string& part : split(raw, '&')) {
    if (part.empty()) {
      continue;
    }
    const auto [raw_key, raw_value] = cut(part, '=');
    const std::string key = decode(with_blanks(raw_key));
    const std::string value = decode(with_blanks(raw_value));
    out.fault = query_fault(raw_key, key);
    if (out.fault.empty()) {
      out.fault = query_fault(raw_value, value);
    }
    if (!out.fault.empty()) {
      return out;
    }
    if (!key.empty()) {
      by_key.emplace(ascii_lower(key), ascii_lower(value));
    }
  }
  out.pairs.assign(by_key.begin(), by_key.end());
  return out;
}

std::string render(const Path& path) {
  std::string out;
  for (const std::string& segment : path.segments) {
    out += "/" + escaped(segment, "%#?;");
  }
  return path.segments.empty() ? "/" : "/" + out + (path.trailing_slash ? "/" : "");
}

std::string render(const Query& query) {
  std::string out;
  for (const auto& [key, value] : query.pairs) {
    out += (out.empty() ? "" : "&") + escaped(key, "%#&=+") + "=" + escaped(value, "%#&=+");
  }
  return out;
}

}  // namespace msp::test::reference
