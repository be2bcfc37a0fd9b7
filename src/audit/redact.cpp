// SPDX-License-Identifier: Apache-2.0
#include "audit/redact.h"

#include <algorithm>
#include <array>
#include <optional>

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

constexpr std::size_t kNone = std::string_view::npos;  // larger than every place

// Most texts have no "%": one quick look spares the slow ones.
std::size_t first_colon(std::string_view text) {
  const std::size_t plain = text.find(':');
  return text.contains('%') ? std::min({plain, text.find("%3A"), text.find("%3a")}) : plain;
}

std::size_t last_at(std::string_view text) {
  const std::size_t plain = text.contains('@') ? text.rfind('@') : kNone;
  const std::size_t coded = text.contains('%') ? text.rfind("%40") : kNone;
  return plain == kNone ? coded : coded == kNone ? plain : std::max(plain, coded);
}

/// What stands between two separators.
struct Piece {
  std::string_view text;
  bool authority = false;     ///< where a host belongs: at once, behind a scheme, behind two slashes
  std::size_t later = kNone;  ///< of the last "@" behind it, from its end; kNone: there is none
  std::size_t rest = 0;       ///< bytes that follow it
  bool cut = false;           ///< what followed them may be gone
};

/// "h", "h:80", "[::1]:80": nothing else that has a colon is a host.
bool is_host(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find_first_not_of("0123456789abcdefABCDEF:.", 1);
    text.remove_prefix(end != kNone && text[end] == ']' ? end + 1 : 0);
  }
  const std::size_t colon = first_colon(text);
  if (colon == kNone) {
    return true;
  }
  constexpr std::size_t kLongestPort = 5;
  const std::string_view port = text.substr(colon + 1);
  return !port.empty() && port.size() <= kLongestPort && port.find_first_not_of("0123456789") == kNone;
}

struct Stretch {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// Behind the first two slashes that are percent-encoded, or kNone.
std::size_t behind_coded_slashes(std::string_view text) {
  for (std::size_t at = text.find("%2"); at != kNone; at = text.find("%2", at + 1)) {
    const std::string_view six = text.substr(at, 6);
    if (six.size() == 6 && (six[2] | 0x20) == 'f' && six.substr(3, 2) == "%2" && (six[5] | 0x20) == 'f') {
      return at + six.size();
    }
  }
  return kNone;
}

/// What from a piece on is user information.
std::optional<Stretch> users_of(const Piece& piece) {
  const std::string_view text = piece.text;
  const std::size_t at = last_at(text);
  const std::size_t colon = first_colon(text);
  const std::size_t equals = text.find('=');
  const std::size_t begin = !piece.authority && equals < colon ? equals + 1 : 0;
  if (piece.cut && piece.rest == 0 && (piece.authority || colon != kNone)) {
    return Stretch{begin, text.size()};
  }
  const std::size_t later = piece.cut ? piece.rest : piece.later;
  if (at != kNone) {
    if (!piece.authority && colon >= at) {
      const std::size_t coded = behind_coded_slashes(text);
      return coded <= at ? std::optional(Stretch{coded, at}) : std::nullopt;
    }
    // "me@corp.com:pa/ss@host": what follows this one is no host.
    const bool goes_on = later != kNone && !is_host(text.substr(at + (text[at] == '@' ? 1 : 3)));
    return Stretch{begin, goes_on ? text.size() + later : at};
  }
  if (!piece.authority || is_host(text)) {
    return {};
  }
  // A name, and a password with a separator in it.
  if (later != kNone) {
    return Stretch{0, text.size() + later};
  }
  return colon + 1 == text.size() ? std::nullopt : std::optional(Stretch{0, text.size()});
}

/// Whether a host belongs behind so many slashes. `before`: the piece before them; empty: none, or another parameter.
bool expects_host(std::string_view before, std::size_t slashes) {
  if (before.ends_with(':') || before.ends_with("%3A") || before.ends_with("%3a")) {
    return slashes >= 1;
  }
  return (before.empty() || before.ends_with('=')) && slashes >= 2;
}

/// Finds user information, from the first to the last, by its place in the text. No service's target has more pieces
/// than these; who sends one shall not keep the writer busy, and the rest counts as user information.
constexpr std::size_t kMostPieces = 64;

class UserFinder {
 public:
  UserFinder(std::string_view text, bool cut)
      : text_(text), query_(std::min(text.find('?'), text.size())), last_(last_at(text)), cut_(cut) {}

  std::optional<Stretch> next() {
    while (pos_ < text_.size()) {
      const std::size_t begin = std::min(text_.find_first_not_of('/', pos_), text_.size());
      if (++pieces_ > kMostPieces) {
        pos_ = text_.size();
        return Stretch{begin, text_.size()};
      }
      const std::size_t end = end_from(begin);
      Piece piece{.text = text_.substr(begin, end - begin), .rest = text_.size() - end, .cut = cut_};
      piece.later = last_ != kNone && last_ >= end ? last_ - end : kNone;
      const bool scheme = begin == 0 && text_.substr(end).starts_with('/') && first_colon(piece.text) + 1 == end;
      piece.authority = (begin == 0 && !scheme) || expects_host(before_, begin - pos_);
      const std::optional<Stretch> users = users_of(piece);
      const std::size_t host = begin + users.value_or(Stretch{}).end;
      move_on(host, std::max(end, end_from(host)));
      if (users) {
        return Stretch{begin + users->begin, host};
      }
    }
    return std::nullopt;
  }

 private:
  std::size_t end_from(std::size_t from) const {
    const bool path = from <= query_;
    const auto separates = [path](char c) { return c == '/' || (path ? c == '?' : c == '&' || c == ';'); };
    const std::string_view rest = text_.substr(from);
    return from + static_cast<std::size_t>(std::ranges::find_if(rest, separates) - rest.begin());
  }
  void move_on(std::size_t host, std::size_t end) {
    const bool other_parameter = end < text_.size() && text_[end] != '/';
    before_ = other_parameter ? std::string_view() : text_.substr(host, end - host);
    pos_ = other_parameter ? end + 1 : end;
  }

  std::string_view text_;
  std::size_t query_;
  std::size_t last_;  // "@", or kNone
  bool cut_;
  std::size_t pieces_ = 0;
  std::size_t pos_ = 0;
  std::string_view before_;  // the piece before pos_; empty: none, or of another parameter
};

std::string without_users(std::string_view text, bool cut) {
  std::string out;
  std::size_t kept = 0;
  UserFinder finder(text, cut);
  while (const auto users = finder.next()) {
    out += text.substr(kept, users->begin - kept);
    out += kRedacted;
    kept = users->end;
  }
  out += text.substr(kept);
  return out;
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

std::string_view query_of(std::string_view text) { return text.substr(std::min(text.find('?'), text.size())); }

/// Whether what was cut off may have made a user of the last piece: where a host belongs.
bool ends_as_a_host_may_begin(std::string_view text) {
  const std::size_t last = text.find_last_of("/?&;");
  return last == kNone || (last > 0 && text.substr(last - 1, 2) == "//");
}

/// Without these three nothing of a text that is whole is user information.
bool has_users(std::string_view text, bool cut) {
  const bool may = text.contains(':') || text.contains('@') || text.contains('%');
  return (may || (cut && ends_as_a_host_may_begin(text))) && UserFinder(text, cut).next();
}

bool has_secret_value(std::string_view text) {
  return any_parameter(query_of(text), [](std::string_view p) { return secret_prefix(p) != 0; });
}

std::string without_secret_values(std::string_view text) {
  const std::string_view query = query_of(text);
  std::string out(text.substr(0, text.size() - query.size()));
  any_parameter(query, [&](std::string_view parameter) {
    const std::size_t keep = secret_prefix(parameter);
    out += keep == 0 ? parameter : parameter.substr(0, keep);
    out += keep == 0 ? std::string_view() : kRedacted;
    return false;
  });
  return out;
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
  const bool fragment = asked.size() != target.size();
  const bool cut = target.size() >= kMaxTarget && !fragment;
  if (!fragment && !has_secret_value(asked) && !has_users(asked, cut)) {
    return target;
  }
  scratch = asked;
  // What is taken out may have been what made the rest another parameter.
  for (std::string before; before != scratch;) {
    before = scratch;
    scratch = without_users(without_secret_values(before), cut);
  }
  if (fragment) {
    scratch += '#';
    scratch += kRedacted;
  }
  return scratch;
}

}  // namespace msp::audit
