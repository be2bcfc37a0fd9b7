// SPDX-License-Identifier: Apache-2.0
#include "http/target.h"

#include <array>
#include <cstddef>

namespace msp::http {
namespace {

enum ByteClass : unsigned char { kPath = 1, kQuery = 2, kAuthority = 4, kScheme = 8 };

constexpr std::array<unsigned char, 256> make_table() {
  std::array<unsigned char, 256> table{};
  const auto mark = [&table](unsigned from, unsigned to, ByteClass what) {
    for (unsigned c = from; c <= to; ++c) {
      table[c] = static_cast<unsigned char>(table[c] | what);
    }
  };
  mark(0x21, 0x22, kPath);
  mark(0x24, 0x3B, kPath);
  mark(0x3D, 0x3D, kPath);
  mark(0x40, 0x5F, kPath);
  mark(0x61, 0x7E, kPath);
  mark(0x21, 0x21, kQuery);
  mark(0x24, 0x3B, kQuery);
  mark(0x3D, 0x3D, kQuery);
  mark(0x3F, 0x7E, kQuery);
  for (unsigned c = 0x21; c < 0x7F; ++c) {
    const bool alpha = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool digit = c >= '0' && c <= '9';
    const auto in = [c](std::string_view set) { return set.find(static_cast<char>(c)) != std::string_view::npos; };
    if (alpha || digit || in("-._~!$&'()*+,;=:@[]%")) {
      mark(c, c, kAuthority);
    }
    if (alpha || digit || in("+-.")) {
      mark(c, c, kScheme);
    }
  }
  return table;
}
constexpr std::array<unsigned char, 256> kBytes = make_table();

bool all(std::string_view text, ByteClass what) {
  unsigned char common = what;
  for (const char c : text) {
    common &= kBytes[static_cast<unsigned char>(c)];
  }
  return common != 0;
}

std::unexpected<Refusal> bad(std::string_view what) { return std::unexpected(Refusal{400, "bad_target", what}); }

/// Path and query; an empty path stays empty.
bool split_path(std::string_view text, Target& out) {
  const std::size_t mark = text.find('?');
  out.path = text.substr(0, mark);
  out.has_query = mark != std::string_view::npos;
  if (out.has_query) {
    out.query = text.substr(mark + 1);
  }
  return all(out.path, kPath) && all(out.query, kQuery);
}

bool is_scheme(std::string_view text) {
  return !text.empty() && ((text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z') && all(text, kScheme);
}

}  // namespace

Checked<Target> parse_target(std::string_view raw) {
  if (raw.size() > kMaxTargetBytes) {
    return std::unexpected(Refusal{414, "target_too_long", "the request target is longer than 65534 bytes"});
  }
  Target out;
  if (raw == "*") {
    out.form = TargetForm::kAsterisk;
    out.path = raw;
    return out;
  }
  const std::string_view text = raw.substr(0, raw.find('#'));
  if (text.starts_with('/')) {
    if (!split_path(text, out)) {
      return bad("the request target holds a byte that is not allowed there; percent-encode it");
    }
    return out;
  }
  const std::size_t colon = text.find("://");
  const std::string_view rest = colon == std::string_view::npos ? text : text.substr(colon + 3);
  out.authority = rest.substr(0, rest.find_first_of("/?"));
  if (out.authority.empty() || !all(out.authority, kAuthority)) {
    return bad("the request target is neither a path nor a URL with a host");
  }
  if (colon == std::string_view::npos) {
    if (out.authority.size() != raw.size()) {
      return bad("the request target is not a path that begins with a slash");
    }
    out.form = TargetForm::kAuthority;
    return out;
  }
  out.form = TargetForm::kAbsolute;
  out.scheme = text.substr(0, colon);
  if (!is_scheme(out.scheme) || !split_path(rest.substr(out.authority.size()), out)) {
    return bad("the request target is no URL, or holds a byte that is not allowed there; percent-encode it");
  }
  if (out.path.empty()) {
    out.path = "/";
  }
  return out;
}

}  // namespace msp::http
