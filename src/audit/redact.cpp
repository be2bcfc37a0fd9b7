// SPDX-License-Identifier: Apache-2.0
#include "audit/redact.h"

#include <algorithm>
#include <array>

#include "base/crypto.h"

namespace msp::audit {
namespace {

constexpr std::string_view kRedacted = "redacted";
constexpr std::array<std::string_view, 6> kInside = {"token",     "secret",     "passw",
                                                     "signature", "credential", "assertion"};
constexpr std::array<std::string_view, 4> kAtEnd = {"sig", "key", "code", "pwd"};

/// Lower case, percent-decoded once (as servers do).
std::string plain(std::string_view key) {
  std::string out;
  for (std::size_t i = 0; i < key.size(); ++i) {
    std::uint8_t byte = static_cast<std::uint8_t>(key[i]);
    if (key[i] == '%' && hex_decode_to(key.substr(i + 1, 2), {&byte, 1})) {
      i += 2;
    }
    out += static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
  }
  return out;
}

void append_path(std::string& out, std::string_view path) {
  const std::size_t scheme = path.find("://");
  const std::size_t authority = scheme == std::string_view::npos ? scheme : scheme + 3;
  const std::size_t at = authority == std::string_view::npos ? authority : path.find('@', authority);
  if (at == std::string_view::npos || path.find('/', authority) < at) {
    out += path;
    return;
  }
  out += path.substr(0, authority);
  out += kRedacted;
  out += path.substr(at);
}

void append_parameter(std::string& out, std::string_view parameter) {
  const std::size_t equals = parameter.find('=');
  if (equals == std::string_view::npos || !looks_secret(parameter.substr(0, equals))) {
    out += parameter;
    return;
  }
  out += parameter.substr(0, equals + 1);
  out += kRedacted;
}

}  // namespace

bool looks_secret(std::string_view key) {
  const std::string name = plain(key);
  return std::ranges::any_of(kInside, [&](std::string_view word) { return name.find(word) != std::string::npos; }) ||
         std::ranges::any_of(kAtEnd, [&](std::string_view word) { return name.ends_with(word); });
}

std::string redact_target(std::string_view target) {
  std::string out;
  out.reserve(target.size());
  const std::size_t query = std::min(target.find('?'), target.size());
  append_path(out, target.substr(0, query));
  for (std::string_view rest = target.substr(query); !rest.empty();) {
    out += rest.front();  // '?', '&' or ';'
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find_first_of("&;"), rest.size());
    append_parameter(out, rest.substr(0, end));
    rest.remove_prefix(end);
  }
  return out;
}

}  // namespace msp::audit
