// SPDX-License-Identifier: Apache-2.0
// Signs requests given as JSON lines (the layout of signing.json) with the code of agent and host, for comparison with
// another implementation. Prints "<string to sign in hex> <authorization header>" or "unsignable" for each line.
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"
#include "base/json.h"
#include "http/target.h"
#include "protocol/authorization.h"
#include "protocol/string_to_sign.h"

namespace msp {
namespace {

/// UTF-8 of code points up to U+00FF to one byte each.
std::string latin1(std::string_view utf8) {
  std::string out;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    out += static_cast<char>(c < 0x80 ? c : (c & 3) << 6 | (utf8[++i] & 0x3F));
  }
  return out;
}

std::string member(const json::Value& line, std::string_view name) { return latin1(*line.find(name)->string()); }

std::string answer(const json::Value& line, protocol::StringToSign& text) {
  std::vector<std::string> texts;
  for (const json::Value& header : *line.find("headers")->array()) {
    texts.push_back(latin1(*header.array()->at(0).string()));
    texts.push_back(latin1(*header.array()->at(1).string()));
  }
  std::vector<http::Header> headers;
  for (std::size_t i = 0; i < texts.size(); i += 2) {
    headers.push_back({.name = texts[i], .value = texts[i + 1]});
  }
  const std::string method = member(line, "method");
  const std::string raw = member(line, "path_and_query");
  const auto body = hex_decode(member(line, "body_hex"));
  const auto target = http::parse_target(raw);
  const auto key = Secret::from_hex(member(line, "key_hex"));
  if (!body || !target || !key) {
    return "unsignable";
  }
  const auto built = text.build({.method = method, .path = target->path, .query = target->query, .headers = headers});
  auto hmac = HmacSha256::create(*key);
  if (!built || !hmac) {
    return "unsignable";
  }
  const std::string bytes(body->begin(), body->end());
  const auto signature = sign(*hmac, text, bytes);
  std::string header;
  protocol::format_authorization(member(line, "key_guid"), *signature, header);
  return hex_encode(as_bytes(text.with_body(bytes))) + " " + header;
}

}  // namespace
}  // namespace msp

int main() {
  std::string input;
  std::array<char, 65536> piece;
  while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), stdin)) {
    input.append(piece.data(), size);
  }
  msp::protocol::StringToSign text;
  std::string_view rest = input;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const auto value = msp::json::parse(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (!value) {
      std::fputs(value.error().text().c_str(), stderr);
      return 2;
    }
    std::puts(msp::answer(*value, text).c_str());
  }
  return 0;
}
