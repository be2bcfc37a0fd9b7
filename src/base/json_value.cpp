// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <unordered_set>

#include "base/json.h"
#include "base/secret.h"
#include "base/text_bytes.h"
#include "base/utf8.h"

namespace msp::json {
namespace {

constexpr char kHex[] = "0123456789abcdef";

/// One reference token of a pointer with "~1" and "~0" undone; nothing if "~" stands before another character.
std::optional<std::string> unescape(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      out += token[i];
      continue;
    }
    ++i;
    if (i == token.size() || (token[i] != '0' && token[i] != '1')) {
      return std::nullopt;
    }
    out += token[i] == '0' ? '~' : '/';
  }
  return out;
}

const Value* element(const Array& array, std::string_view token) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  const bool leading_zero = token.size() > 1 && token.front() == '0';
  if (error != std::errc{} || end != token.data() + token.size() || leading_zero || index >= array.size()) {
    return nullptr;
  }
  return &array[index];
}

/// True if none of eight bytes needs an escape or belongs to a longer character. (Bytes above 0x7F are tested apart, so
/// the usual "is there a byte less than n" is exact.)
bool all_plain(std::uint64_t word) {
  const auto has_zero = [](std::uint64_t w) { return (w - each_byte(1)) & ~w; };
  const std::uint64_t control = (word - each_byte(0x20)) & ~word;
  return ((control | has_zero(word ^ each_byte('"')) | has_zero(word ^ each_byte('\\')) |
           has_zero(word ^ each_byte(0x7F)) | word) &
          each_byte(0x80)) == 0;
}

bool all_plain(std::string_view text) {
  if (text.size() >= kWordSize) {
    return every_word(text, [](std::uint64_t word) { return all_plain(word); });
  }
  std::uint64_t word = each_byte('x');
  std::memcpy(&word, text.data(), text.size());
  return all_plain(word);
}

/// One character below 0x80, escaped where it must be.
char* write_ascii(char* out, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte != 0x7F && c != '"' && c != '\\') {
    *out++ = c;
    return out;
  }
  *out++ = '\\';
  if (c == '"' || c == '\\') {
    *out++ = c;
  } else if (c == '\n' || c == '\r' || c == '\t') {
    *out++ = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
  } else {
    out = std::copy_n("u00", 3, out);
    *out++ = kHex[byte >> 4];
    *out++ = kHex[byte & 0x0F];
  }
  return out;
}

}  // namespace

const Value* Object::find(std::string_view name) const {
  const auto it = std::find_if(members.rbegin(), members.rend(), [&](const Member& m) { return m.name == name; });
  return it == members.rend() ? nullptr : &it->value;
}

const Member* Object::duplicate() const {
  std::unordered_set<std::string_view> seen;
  for (const Member& member : members) {
    if (!seen.insert(member.name).second) {
      return &member;
    }
  }
  return nullptr;
}

std::optional<std::int64_t> Value::int64() const {
  const auto* v = std::get_if<std::int64_t>(&data_);
  return v == nullptr ? std::nullopt : std::optional(*v);
}

std::optional<std::uint64_t> Value::uint64() const {
  if (const auto* v = std::get_if<std::uint64_t>(&data_)) {
    return *v;
  }
  const auto v = int64();
  return v && *v >= 0 ? std::optional(static_cast<std::uint64_t>(*v)) : std::nullopt;
}

std::optional<double> Value::number() const {
  if (const auto* v = std::get_if<double>(&data_)) {
    return *v;
  }
  if (const auto* v = std::get_if<std::uint64_t>(&data_)) {
    return static_cast<double>(*v);
  }
  const auto v = int64();
  return v ? std::optional(static_cast<double>(*v)) : std::nullopt;
}

const Value* Value::find(std::string_view name) const {
  const Object* members = object();
  return members == nullptr ? nullptr : members->find(name);
}

const Value* Value::at(std::string_view pointer) const {
  const Value* here = this;
  while (here != nullptr && !pointer.empty()) {
    if (pointer.front() != '/') {
      return nullptr;
    }
    const std::size_t stop = std::min(pointer.find('/', 1), pointer.size());
    const auto token = unescape(pointer.substr(1, stop - 1));
    if (!token) {
      return nullptr;
    }
    const Array* elements = here->array();
    here = elements != nullptr ? element(*elements, *token) : here->find(*token);
    pointer.remove_prefix(stop);
  }
  return here;
}

Place place_of(std::string_view text, std::size_t offset) {
  Place place;
  for (std::size_t i = 0; i < std::min(offset, text.size()); ++i) {
    if (text[i] == '\n') {
      ++place.line;
      place.column = 1;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      ++place.column;
    }
  }
  return place;
}

void append_pointer(std::string& pointer, std::string_view name) {
  pointer += '/';
  for (const char c : name) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
}

std::string_view describe(Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "true or false";
    case Kind::kInteger:
    case Kind::kUnsigned:
      return "a whole number";
    case Kind::kDouble:
      return "a number";
    case Kind::kString:
      return "a string";
    case Kind::kArray:
      return "an array";
    case Kind::kObject:
      return "an object";
  }
  return "nothing";
}

void wipe(Value& value) {
  if (std::string* text = value.string()) {
    msp::wipe(*text);
  } else if (Array* elements = value.array()) {
    std::ranges::for_each(*elements, [](Value& v) { wipe(v); });
  } else if (Object* object = value.object()) {
    std::ranges::for_each(object->members, [](Member& m) { wipe(m.value); });
  }
}

char* write_json_string(char* out, std::string_view text) {
  *out++ = '"';
  if (!text.empty() && all_plain(text)) {
    out = put_text(out, text);
    text = {};
  }
  for (std::size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      out = write_ascii(out, text[i++]);
      continue;
    }
    const std::size_t length = utf8_sequence(text, i);
    out = length == 0 ? std::copy_n("\xEF\xBF\xBD", 3, out) : std::copy_n(text.data() + i, length, out);
    i += std::max<std::size_t>(length, 1);
  }
  *out++ = '"';
  return out;
}

void append_json_string(std::string& out, std::string_view text) {
  const std::size_t before = out.size();
  out.resize_and_overwrite(before + json_string_bound(text.size()), [&](char* data, std::size_t) {
    return static_cast<std::size_t>(write_json_string(data + before, text) - data);
  });
}

}  // namespace msp::json
