// SPDX-License-Identifier: Apache-2.0
#include "audit/redact.h"

#include <algorithm>
#include <array>

#include "audit/codec.h"
#include "base/crypto.h"

namespace msp::audit {
namespace {

constexpr std::string_view kRedacted = "redacted";
constexpr std::array<std::string_view, 6> kInside = {"token",     "secret",     "passw",
                                                     "signature", "credential", "assertion"};
constexpr std::array<std::string_view, 4> kAtEnd = {"sig", "key", "code", "pwd"};

/// A bit for each letter that one of kInside begins with.
constexpr std::uint32_t kFirstLetters = [] {
  std::uint32_t letters = 0;
  for (const std::string_view word : kInside) {
    letters |= std::uint32_t{1} << (word[0] - 'a');
  }
  return letters;
}();

char fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// Percent-decoded once, as servers do.
std::string decoded(std::string_view key) {
  std::string out;
  for (std::size_t i = 0; i < key.size(); ++i) {
    std::uint8_t byte = static_cast<std::uint8_t>(key[i]);
    if (key[i] == '%' && hex_decode_to(key.substr(i + 1, 2), {&byte, 1})) {
      i += 2;
    }
    out += static_cast<char>(byte);
  }
  return out;
}

/// `word` in lower case.
bool begins_with(std::string_view text, std::string_view word) {
  return text.size() >= word.size() &&
         std::ranges::equal(text.substr(0, word.size()), word, {}, [](char c) { return fold(c); });
}

bool says_secret(std::string_view key) {
  for (const std::string_view word : kAtEnd) {
    if (key.size() >= word.size() && begins_with(key.substr(key.size() - word.size()), word)) {
      return true;
    }
  }
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto letter = static_cast<unsigned>(fold(key[i]) - 'a');
    const auto here = [&](std::string_view word) { return begins_with(key.substr(i), word); };
    if (letter < 26 && (kFirstLetters >> letter & 1U) != 0 && std::ranges::any_of(kInside, here)) {
      return true;
    }
  }
  return false;
}

/// Where a host may stand with user information before it, or npos: behind a scheme, or at once (authority-form).
std::size_t authority_begin(std::string_view path) {
  const std::size_t scheme = path.find("://");
  const std::size_t slash = path.find('/');
  if (slash != 0 && (scheme == std::string_view::npos || slash != scheme + 1)) {
    return 0;
  }
  return scheme == std::string_view::npos ? scheme : scheme + 3;
}

/// Where user information ends, or npos: at the last "@" of the authority, as URL parsers have it. Where the target was
/// cut within the authority the "@" may be gone, and all of it counts.
std::size_t user_information_end(std::string_view path) {
  const std::size_t begin = authority_begin(path);
  if (begin == std::string_view::npos) {
    return begin;
  }
  const std::size_t end = path.find('/', begin);
  if (end == std::string_view::npos && path.size() >= kMaxTarget) {
    return path.size();
  }
  const std::size_t at = path.substr(0, end).rfind('@');
  return at != std::string_view::npos && at >= begin ? at : std::string_view::npos;
}

/// Calls f(separator and parameter) for each parameter of a query that begins with "?"; stops when f returns true.
template <class F>
bool any_parameter(std::string_view query, F&& f) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find_first_of("&;", 1), query.size());
    if (f(query.substr(0, end))) {
      return true;
    }
    query.remove_prefix(end);
  }
  return false;
}

/// Bytes up to and with the "=" of a parameter whose value is secret; 0 if it is not, or has none.
std::size_t secret_prefix(std::string_view parameter) {
  const std::size_t equals = parameter.find('=');
  return equals != std::string_view::npos && looks_secret(parameter.substr(1, equals - 1)) ? equals + 1 : 0;
}

}  // namespace

bool looks_secret(std::string_view key) {
  if (key.contains('%')) {
    return says_secret(decoded(key));
  }
  return says_secret(key);
}

std::string_view redact_target(std::string_view target, std::string& scratch) {
  const std::string_view asked = target.substr(0, target.find('#'));
  const std::string_view path = asked.substr(0, asked.find('?'));
  const std::string_view query = asked.substr(path.size());
  const std::size_t host = user_information_end(path);
  const bool fragment = asked.size() != target.size();
  const bool secret = any_parameter(query, [](std::string_view p) { return secret_prefix(p) != 0; });
  if (host == std::string_view::npos && !secret && !fragment) {
    return target;
  }
  scratch.clear();
  if (host != std::string_view::npos) {
    scratch += path.substr(0, authority_begin(path));
    scratch += kRedacted;
  }
  scratch += path.substr(host == std::string_view::npos ? 0 : host);
  any_parameter(query, [&](std::string_view parameter) {
    const std::size_t keep = secret_prefix(parameter);
    scratch += keep == 0 ? parameter : parameter.substr(0, keep);
    scratch += keep == 0 ? std::string_view() : kRedacted;
    return false;
  });
  if (fragment) {
    scratch += '#';
    scratch += kRedacted;
  }
  return scratch;
}

}  // namespace msp::audit
