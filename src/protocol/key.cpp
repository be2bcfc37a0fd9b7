// SPDX-License-Identifier: Apache-2.0
#include "protocol/key.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/json_members.h"
#include "protocol/guid.h"
#include "protocol/headers.h"

namespace msp::protocol {
namespace {

constexpr std::size_t kMaxDocumentBytes = std::size_t{16} * 1024;
constexpr std::size_t kMaxIssuedBytes = 64;

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7E; });
}

bool is_key(std::string_view text) {
  return text.size() == 2 * kKeyBytes && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

KeyDocument read(const json::Value& value, json::Misfits& misfits) {
  json::MemberReader reader(value, "", misfits);
  KeyDocument out;
  const std::string scheme = reader.string("authorizationScheme");
  out.guid = reader.string("guid");
  out.incarnation_id = reader.optional_uint32("incarnationId");
  out.issued = reader.string("issued");
  std::string key = reader.string("key");
  // What is missing needs not be called malformed, too.
  const auto demand = [&, complete = !misfits.any()](bool good, std::string_view pointer, std::string_view what) {
    if (complete && !good) {
      misfits.add(pointer, what);
    }
  };
  demand(scheme == kScheme, "/authorizationScheme", "the scheme is not Azure-HMAC-SHA256");
  demand(is_guid(out.guid), "/guid", "the key id is not a GUID");
  demand(!out.issued.empty() && out.issued.size() <= kMaxIssuedBytes && is_printable(out.issued), "/issued",
         "the time is empty, longer than 64 bytes or not printable");
  demand(is_key(key), "/key", "the key is not 64 hex digits");
  out.key_hex = Secret::copy_of(key);
  wipe(key);
  return out;
}

}  // namespace

Result<KeyDocument> parse_key_document(std::string_view text, Source source) {
  Result<json::Value> value = json::parse(text, {.max_bytes = kMaxDocumentBytes, .source = source});
  if (!value) {
    return std::move(value).error().context("the key document is refused");
  }
  json::Misfits misfits;
  KeyDocument out = read(*value, misfits);
  json::wipe(*value);
  if (misfits.any()) {
    return misfits.error(source, "the key document");
  }
  return out;
}

// The digits are put into the finished text, so that no buffer of the writer ever holds them.
Secret write_key_document(const KeyDocument& document, json::Style style) {
  json::Writer writer(style);
  writer.begin_object().field("authorizationScheme", kScheme);
  if (document.incarnation_id) {
    writer.field("incarnationId", *document.incarnation_id);
  }
  writer.field("guid", document.guid).field("issued", document.issued).field("key", std::string_view()).end_object();
  const std::string text = std::move(writer).take();
  const std::string_view digits = document.key_hex.reveal();
  const std::size_t split = text.rfind('"');
  Secret out(text.size() + digits.size());
  char* to = reinterpret_cast<char*>(out.writable().data());
  to = std::ranges::copy(std::string_view(text).substr(0, split), to).out;
  to = std::ranges::copy(digits, to).out;
  std::ranges::copy(std::string_view(text).substr(split), to);
  return out;
}

}  // namespace msp::protocol
