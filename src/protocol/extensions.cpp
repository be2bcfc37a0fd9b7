// SPDX-License-Identifier: Apache-2.0
#include "protocol/extensions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace msp::protocol {
namespace {

constexpr std::string_view kNonceWord = "nonce:";
constexpr std::string_view kCallerWord = "caller";
constexpr std::size_t kDigits = 16;
constexpr std::string_view kHex = "0123456789abcdef";

char* put_hex(char* to, std::uint64_t value) {
  for (unsigned shift = 64; shift != 0;) {
    shift -= 4;
    *to++ = kHex[(value >> shift) & 0xF];
  }
  return to;
}

bool all_of_text(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint64_t> hex16(std::string_view text) {
  return text.size() == kDigits && all_of_text(text, kHex) ? number(text, 16) : std::nullopt;
}

std::optional<std::uint64_t> decimal(std::string_view text) {
  return text.starts_with('0') && text.size() > 1 ? std::nullopt : number(text, 10);
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~/:@+,").contains(c);
}

/// Splits at single blanks; calls `take` with each word until it says no.
template <class Take>
bool each_word(std::string_view text, Take take) {
  while (!text.empty()) {
    const auto blank = text.find(' ');
    if (!take(text.substr(0, blank))) {
      return false;
    }
    text = blank == std::string_view::npos ? std::string_view() : text.substr(blank + 1);
  }
  return true;
}

void put(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty() || value.size() > kMostCallerText) {
    return;
  }
  if (!out.empty()) {
    out += ' ';
  }
  out += name;
  out += '=';
  for (const char c : value) {
    if (is_plain(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
    }
  }
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!is_plain(text[i])) {
        return std::nullopt;
      }
      out += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    const auto byte = digits.size() == 2 && all_of_text(digits, kHex) ? number(digits, 16) : std::nullopt;
    if (!byte) {
      return std::nullopt;
    }
    out += static_cast<char>(*byte);
    i += 2;
  }
  return out.empty() || out.size() > kMostCallerText ? std::nullopt : std::optional(std::move(out));
}

}  // namespace

Asks parse_asks(std::string_view text) {
  Asks asks;
  each_word(text, [&](std::string_view word) {
    if (word == kCallerWord) {
      asks.caller = true;
    } else if (word.starts_with(kNonceWord)) {
      asks.epoch = hex16(word.substr(kNonceWord.size()));
    }
    return true;
  });
  return asks;
}

std::string format_asks(const Asks& asks) {
  std::string out;
  if (asks.epoch) {
    std::array<char, kDigits> digits{};
    put_hex(digits.data(), *asks.epoch);
    out.append(kNonceWord).append(digits.data(), digits.size());
  }
  if (asks.caller) {
    out.append(out.empty() ? "" : " ").append(kCallerWord);
  }
  return out;
}

std::optional<Nonce> parse_nonce(std::string_view text) {
  constexpr std::size_t kSecond = kDigits + 1;
  constexpr std::size_t kThird = 2 * kSecond;
  if (text.size() <= kThird || text[kDigits] != '.' || text[kSecond + kDigits] != '.') {
    return std::nullopt;
  }
  const auto epoch = hex16(text.substr(0, kDigits));
  const auto stream = hex16(text.substr(kSecond, kDigits));
  const auto counter = decimal(text.substr(kThird));
  if (!epoch || !stream || !counter || *counter == 0) {
    return std::nullopt;
  }
  return Nonce{.epoch = *epoch, .stream = *stream, .counter = *counter};
}

std::string_view format_nonce(const Nonce& nonce, std::span<char, kMostNonceSize> out) {
  char* to = put_hex(out.data(), nonce.epoch);
  *to++ = '.';
  to = put_hex(to, nonce.stream);
  *to++ = '.';
  to = std::to_chars(to, out.data() + out.size(), nonce.counter).ptr;
  return {out.data(), static_cast<std::size_t>(to - out.data())};
}

void format_caller(const CallerView& caller, std::string& out) {
  out.clear();
  if (caller.uid) {
    std::array<char, 10> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), *caller.uid).ptr;
    put(out, "uid", {digits.data(), static_cast<std::size_t>(end - digits.data())});
  }
  put(out, "user", caller.user);
  put(out, "exe", caller.executable);
  put(out, "process", caller.process);
  put(out, "unit", caller.unit);
  put(out, "denied", caller.denied);
}

std::optional<Caller> parse_caller(std::string_view text) {
  Caller caller;
  const std::array<std::pair<std::string_view, std::string*>, 5> texts{{{"user", &caller.user},
                                                                        {"exe", &caller.executable},
                                                                        {"process", &caller.process},
                                                                        {"unit", &caller.unit},
                                                                        {"denied", &caller.denied}}};
  const bool good = each_word(text, [&](std::string_view word) {
    const auto sign = word.find('=');
    if (sign == std::string_view::npos) {
      return false;
    }
    const std::string_view name = word.substr(0, sign);
    const std::string_view value = word.substr(sign + 1);
    if (name == "uid") {
      const auto uid = decimal(value);
      const bool fits = uid && *uid <= UINT32_MAX && !caller.uid;
      caller.uid = fits ? std::optional(static_cast<std::uint32_t>(*uid)) : std::nullopt;
      return fits;
    }
    const auto known = std::ranges::find(texts, name, &std::pair<std::string_view, std::string*>::first);
    if (known == texts.end()) {
      return true;
    }
    auto plain = unescaped(value);
    if (!plain || !known->second->empty()) {
      return false;
    }
    *known->second = std::move(*plain);
    return true;
  });
  return good ? std::optional(std::move(caller)) : std::nullopt;
}

}  // namespace msp::protocol
