// SPDX-License-Identifier: Apache-2.0
#include "protocol/wait.h"

#include <algorithm>
#include <charconv>

namespace msp::protocol {
namespace {

constexpr std::size_t kMostTag = 64;
constexpr std::size_t kMostDigits = 4;

bool is_tag_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

}  // namespace

std::optional<Wait> parse_wait(std::string_view text) {
  const auto blank = text.find(' ');
  if (blank == std::string_view::npos || blank == 0 || blank > kMostTag) {
    return std::nullopt;
  }
  const std::string_view tag = text.substr(0, blank);
  const std::string_view digits = text.substr(blank + 1);
  Wait wait{.tag = std::string(tag)};
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), wait.seconds);
  if (!std::ranges::all_of(tag, is_tag_character) || digits.empty() || digits.size() > kMostDigits ||
      failure != std::errc{} || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return wait;
}

std::string format_wait(const Wait& wait) { return wait.tag + ' ' + std::to_string(wait.seconds); }

}  // namespace msp::protocol
