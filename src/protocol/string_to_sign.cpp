// SPDX-License-Identifier: Apache-2.0
#include "protocol/string_to_sign.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <utility>

#include "base/text_bytes.h"
#include "http/token.h"
#include "protocol/extensions.h"
#include "protocol/headers.h"

namespace msp::protocol {
namespace {

enum : std::uint8_t { kPathByte = 1, kQueryByte = 2 };

/// What a byte may be part of (F step 0).
constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> out{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool path = c == 0x21 || c == 0x22 || (c >= 0x24 && c <= 0x3B) || c == 0x3D || (c >= 0x40 && c <= 0x5F) ||
                      (c >= 0x61 && c <= 0x7E);
    const bool query = c == 0x21 || (c >= 0x24 && c <= 0x3B) || c == 0x3D || (c >= 0x3F && c <= 0x7E);
    out[c] = static_cast<std::uint8_t>((path ? kPathByte : 0) | (query ? kQueryByte : 0));
  }
  return out;
}
constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

bool all(std::string_view text, std::uint8_t what) {
  std::uint8_t common = what;
  for (const char c : text) {
    common &= kClasses[static_cast<unsigned char>(c)];
  }
  return common == what;
}

char fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string_view trim(std::string_view value) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!value.empty() && blank(value.front())) {
    value.remove_prefix(1);
  }
  while (!value.empty() && blank(value.back())) {
    value.remove_suffix(1);
  }
  return value;
}

/// The first eight bytes of a name as a number that is the greater the later the name stands; none of them is 0.
std::uint64_t front_of(std::string_view name) {
  std::uint64_t front = 0;
  std::memcpy(&front, name.data(), std::min(name.size(), kWordSize));
  return std::endian::native == std::endian::little ? std::byteswap(front) : front;
}

Error unsignable(std::string_view what) {
  return Error{.source = Source::kClient,
               .message = "cannot sign the request: " + std::string(what),
               .hint = "send printable ASCII only, other bytes percent-encoded",
               .code = 0};
}

}  // namespace

bool StringToSign::NamedHeader::operator<(const NamedHeader& other) const {
  if (front != other.front) {
    return front < other.front;
  }
  const int order = name.compare(other.name);
  return order != 0 ? order < 0 : index < other.index;
}

// Of equal sort keys the later part stands behind, as it does in the buffer.
bool StringToSign::QueryPart::operator<(const QueryPart& other) const {
  const int order = key_and_value.compare(other.key_and_value);
  return order != 0 ? order < 0 : key_and_value.data() < other.key_and_value.data();
}

Result<void> StringToSign::build(const SignableRequest& request) {
  text_.clear();
  body_at_ = 0;
  if (!http::is_token(request.method)) {
    return unsignable("the method is not a token");
  }
  if (!all(request.path, kPathByte)) {
    return unsignable("the path contains a byte that no path may contain");
  }
  if (!all(request.query, kQueryByte)) {
    return unsignable("the query contains a byte that no query may contain");
  }
  if (Result<void> done = order_headers(request.headers); !done) {
    return done;
  }
  // Of each part no more is written than it is long, and a separator.
  std::size_t most = request.method.size() + request.path.size() + request.query.size() + kExtensionLine.size() + 4;
  for (const http::Header& header : request.headers) {
    most += header.name.size() + header.value.size() + 2;
  }
  text_.resize_and_overwrite(
      most, [&](char* text, std::size_t) { return static_cast<std::size_t>(write(text, request) - text); });
  return {};
}

char* StringToSign::write(char* text, const SignableRequest& request) {
  char* to = put_text(text, request.method);
  *to++ = '\n';
  body_at_ = static_cast<std::size_t>(to - text);
  *to++ = '\n';
  to = put_text(write_header_lines(to, request.headers), request.path);
  *to++ = '\n';
  to = write_query(to, request.query);
  if (request.extended) {
    *to++ = '\n';
    to = put_text(to, kExtensionLine);
  }
  return to;
}

Result<void> StringToSign::order_headers(std::span<const http::Header> headers) {
  if (headers.size() > kMaxSignedHeaders) {
    return unsignable("it has too many headers");
  }
  std::size_t names_size = 0;
  for (const http::Header& header : headers) {
    names_size += header.name.size();
  }
  names_.resize(names_size);
  char* to = names_.data();
  order_.clear();
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto& [name, value] = headers[i];
    if (!http::write_lower_token(to, name)) {
      return unsignable("a header name is not a token");
    }
    if (!http::is_signable_value(value)) {
      return unsignable("the value of a header contains a byte outside printable ASCII");
    }
    const std::string_view lower(to, name.size());
    order_.push_back({.name = lower, .front = front_of(lower), .index = i});
    to += name.size();
  }
  std::ranges::sort(order_, std::less<>{});
  return {};
}

char* StringToSign::write_header_lines(char* to, std::span<const http::Header> headers) {
  const auto value_of = [&](std::size_t i) { return trim(headers[order_[i].index].value); };
  unsigned_values_ = false;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const std::string_view name = order_[i].name;
    if (i + 1 < order_.size() && name == order_[i + 1].name) {
      unsigned_values_ |= value_of(i) != value_of(i + 1);
      continue;
    }
    if (name == kAuthorizationHeader) {
      continue;
    }
    to = put_text(to, name);
    *to++ = ':';
    to = put_text(to, value_of(i));
    *to++ = '\n';
  }
  return to;
}

char* StringToSign::write_query(char* to, std::string_view query) {
  if (query.empty()) {
    return to;
  }
  scratch_.resize(query.size());
  char* key = scratch_.data();
  parts_.clear();
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    const std::size_t equals = std::min(part.find('='), part.size());
    if (equals == 0) {
      continue;
    }
    char* const start = key;
    key = std::ranges::transform(part.substr(0, equals), key, fold).out;
    key = put_text(key, part.substr(std::min(equals + 1, part.size())));
    parts_.push_back({.key_and_value = {start, static_cast<std::size_t>(key - start)}, .key_size = equals});
  }
  return write_sorted_parts(to);
}

char* StringToSign::write_sorted_parts(char* to) {
  std::ranges::sort(parts_, std::less<>{});
  bool first = true;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto [pair, key_size] = parts_[i];
    if (i + 1 < parts_.size() && pair == parts_[i + 1].key_and_value) {
      continue;
    }
    if (!std::exchange(first, false)) {
      *to++ = '&';
    }
    to = put_text(to, pair.substr(0, key_size));
    if (key_size < pair.size()) {
      *to++ = '=';
      to = put_text(to, pair.substr(key_size));
    }
  }
  return to;
}

std::string StringToSign::with_body(std::string_view body) const {
  std::string out(before_body());
  out += body;
  out += after_body();
  return out;
}

Result<Sha256Digest> sign(HmacSha256& key, const StringToSign& text, std::span<const std::string_view> body) {
  key.start();
  key.update(text.before_body());
  for (const std::string_view piece : body) {
    key.update(piece);
  }
  key.update(text.after_body());
  return key.finish();
}

Result<Sha256Digest> sign(HmacSha256& key, const StringToSign& text, std::string_view body) {
  return sign(key, text, std::span<const std::string_view>(&body, 1));
}

}  // namespace msp::protocol
