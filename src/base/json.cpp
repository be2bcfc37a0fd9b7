// SPDX-License-Identifier: Apache-2.0
// Everything that knows RapidJSON. Why this reader: docs/decisions/json-reader.md.
#include "base/json.h"

#include <fmt/core.h>
#include <string.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>

// Its stack adds to a null pointer before it has memory: harmless, but the sanitizer says so, rightly.
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/memorystream.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#ifdef __clang__
#pragma clang attribute pop
#endif

#include "base/utf8.h"

namespace msp::json {
namespace {

/// The reader copies strings, keys of ours among them, to buffers of its own: they are wiped before they are freed.
class WipingAllocator {
 public:
  [[maybe_unused]] static constexpr bool kNeedFree = true;
  static void* Malloc(std::size_t size) {
    auto* block = size == 0 ? nullptr : static_cast<char*>(std::malloc(kHeader + size));
    if (block == nullptr) {
      return nullptr;
    }
    ::memcpy(block, &size, sizeof size);
    return block + kHeader;
  }
  static void* Realloc(void* original, std::size_t original_size, std::size_t size) {
    void* fresh = Malloc(size);
    if (fresh != nullptr && original != nullptr) {
      ::memcpy(fresh, original, std::min(original_size, size));
    }
    Free(original);
    return fresh;
  }
  static void Free(void* memory) {
    if (memory == nullptr) {
      return;
    }
    char* block = static_cast<char*>(memory) - kHeader;
    std::size_t size = 0;
    ::memcpy(&size, block, sizeof size);
    ::explicit_bzero(block, kHeader + size);
    std::free(block);
  }

 private:
  static constexpr std::size_t kHeader = alignof(std::max_align_t);  // remembers the size
};

constexpr std::string_view kTooBig = "a number that is too big";

/// All of the text as an integer of that type.
template <class T>
std::optional<T> exactly(std::string_view text) {
  T value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// Builds the tree; refuses what the options refuse by returning false with `problem` set.
class TreeBuilder {
 public:
  TreeBuilder(std::string_view text, const rapidjson::MemoryStream& stream, const Options& options)
      : text_(text), stream_(stream), options_(options) {}

  bool Null() { return add(Value()); }
  bool Bool(bool v) { return add(Value(v)); }
  // Numbers come as text: the library's own conversion of a zero with an exponent is undefined.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(std::int64_t) { return false; }
  bool Uint64(std::uint64_t) { return false; }
  bool Double(double) { return false; }
  bool RawNumber(const char* data, rapidjson::SizeType size, bool) {
    const std::string text(data, size);
    if (const auto integer = exactly<std::int64_t>(text)) {
      return add(Value(*integer));
    }
    if (const auto natural = exactly<std::uint64_t>(text)) {
      return add(Value(*natural));
    }
    // For what is too small or too large, too; the locale is "C" in all of our programs.
    const double number = std::strtod(text.c_str(), nullptr);
    return std::isfinite(number) ? add(Value(number)) : refuse(token_begin(), std::string(kTooBig));
  }
  bool String(const char* data, rapidjson::SizeType size, bool) {
    auto checked = decode({data, size});
    return checked && add(Value(std::move(*checked)));
  }
  bool Key(const char* data, rapidjson::SizeType size, bool) {
    auto name = decode({data, size});
    if (!name || !count()) {
      return false;
    }
    const std::size_t begin = token_begin();
    last_end_ = stream_.Tell();
    open_.back().object()->members.push_back(Member{.name = std::move(*name), .value = Value(), .begin = begin});
    return true;
  }
  bool StartObject() { return open(Value(Object())); }
  bool StartArray() { return open(Value(Array())); }
  bool EndObject(rapidjson::SizeType) {
    const Member* twice = options_.unique_members ? open_.back().object()->duplicate() : nullptr;
    if (twice != nullptr) {
      return refuse(twice->begin, fmt::format("member \"{}\" occurs twice", twice->name));
    }
    return close();
  }
  bool EndArray(rapidjson::SizeType) { return close(); }

  /// Where the text begins (after a byte order mark).
  void skip_to(std::size_t at) { last_end_ = at; }
  Value take() { return std::move(root_); }
  const std::string& problem() const { return problem_; }
  std::size_t problem_at() const { return problem_at_; }

 private:
  bool refuse(std::size_t at, std::string message) {
    problem_ = std::move(message);
    problem_at_ = at;
    return false;
  }
  bool count() {
    return ++nodes_ <= options_.max_nodes ||
           refuse(token_begin(), fmt::format("more than {} values", options_.max_nodes));
  }
  /// The token that ends at the stream's position begins at the first byte after the last one that is no separator.
  std::size_t token_begin() const {
    const std::size_t at = text_.find_first_not_of(" \t\r\n,:", last_end_);
    return std::min(at, stream_.Tell());
  }
  /// Escapes can spell what is no UTF-8 (a lone surrogate), and lossy input has raw bytes.
  std::optional<std::string> decode(std::string_view raw) {
    if (utf8_invalid_at(raw) == std::string_view::npos) {
      return std::string(raw);
    }
    if (!options_.lossy_utf8) {
      refuse(token_begin(), "a string with a lone surrogate");
      return std::nullopt;
    }
    return utf8_repair(raw);
  }
  bool add(Value value) {
    if (!count()) {
      return false;
    }
    value.begin = token_begin();
    return attach(std::move(value));
  }
  bool open(Value value) {
    if (!count()) {
      return false;
    }
    value.begin = token_begin();
    if (open_.size() >= options_.max_depth) {
      return refuse(value.begin, fmt::format("nested deeper than {}", options_.max_depth));
    }
    last_end_ = stream_.Tell();
    open_.push_back(std::move(value));
    return true;
  }
  bool close() {
    Value done = std::move(open_.back());
    open_.pop_back();
    return attach(std::move(done));
  }
  bool attach(Value value) {
    last_end_ = value.end = stream_.Tell();
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (Array* array = open_.back().array()) {
      array->push_back(std::move(value));
    } else {
      open_.back().object()->members.back().value = std::move(value);
    }
    return true;
  }

  std::string_view text_;
  const rapidjson::MemoryStream& stream_;
  const Options& options_;
  std::vector<Value> open_;
  Value root_;
  std::size_t nodes_ = 0;
  std::size_t last_end_ = 0;
  std::string problem_;
  std::size_t problem_at_ = 0;
};

std::string_view explain(rapidjson::ParseErrorCode code) {
  switch (code) {
    case rapidjson::kParseErrorDocumentEmpty:
      return "nothing but blanks";
    case rapidjson::kParseErrorDocumentRootNotSingular:
      return "more text after the end of the value";
    case rapidjson::kParseErrorValueInvalid:
      return "expected a value";
    case rapidjson::kParseErrorObjectMissName:
      return "expected a member name in double quotes";
    case rapidjson::kParseErrorObjectMissColon:
      return "expected ':' after the member name";
    case rapidjson::kParseErrorObjectMissCommaOrCurlyBracket:
      return "expected ',' or '}' after a member";
    case rapidjson::kParseErrorArrayMissCommaOrSquareBracket:
      return "expected ',' or ']' after an element";
    case rapidjson::kParseErrorStringUnicodeEscapeInvalidHex:
      return "expected four hex digits after \\u";
    case rapidjson::kParseErrorStringUnicodeSurrogateInvalid:
      return "a string with a lone surrogate";
    case rapidjson::kParseErrorStringEscapeInvalid:
      return "unknown escape in a string";
    case rapidjson::kParseErrorStringMissQuotationMark:
      return "a string without its closing quote";
    case rapidjson::kParseErrorStringInvalidEncoding:
      return "a control character in a string (write it as an escape)";
    case rapidjson::kParseErrorNumberTooBig:
      return kTooBig;
    case rapidjson::kParseErrorNumberMissFraction:
      return "expected digits after the decimal point";
    case rapidjson::kParseErrorNumberMissExponent:
      return "expected digits in the exponent";
    default:
      return "not JSON";
  }
}

Error error_at(std::string_view text, std::size_t offset, std::string_view message, Source source) {
  const Place place = place_of(text, offset);
  return Error{.source = source,
               .message = fmt::format("line {}, column {}: {}", place.line, place.column, message),
               .hint = {},
               .code = 0};
}

constexpr std::string_view kBom = "\xEF\xBB\xBF";

}  // namespace

Result<Value> parse(std::string_view text, const Options& options) {
  const auto refuse = [&](std::size_t at, std::string_view message) {
    return error_at(text, at, message, options.source);
  };
  if (text.size() > options.max_bytes) {
    return refuse(0, fmt::format("{} bytes, more than {}", text.size(), options.max_bytes));
  }
  // The reader takes NUL for the end of the text: what stands behind it would go unseen.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return refuse(nul, "a NUL byte");
  }
  if (const std::size_t bad = utf8_invalid_at(text); bad != std::string_view::npos && !options.lossy_utf8) {
    return refuse(bad, "a byte that is no UTF-8");
  }
  rapidjson::MemoryStream stream(text.data(), text.size());
  if (text.starts_with(kBom)) {
    if (!options.skip_bom) {
      return refuse(0, "a byte order mark before the value");
    }
    stream.src_ += kBom.size();
  }
  rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, WipingAllocator> reader;
  TreeBuilder builder(text, stream, options);
  builder.skip_to(stream.Tell());
  const rapidjson::ParseResult parsed = reader.Parse<rapidjson::kParseNumbersAsStringsFlag>(stream, builder);
  if (!builder.problem().empty()) {
    return refuse(builder.problem_at(), builder.problem());
  }
  if (parsed.IsError()) {
    // The library reports a bare control character as a bad escape.
    const bool is_control = parsed.Offset() < text.size() && static_cast<unsigned char>(text[parsed.Offset()]) < 0x20;
    const bool in_string = parsed.Code() == rapidjson::kParseErrorStringEscapeInvalid;
    return refuse(parsed.Offset(),
                  explain(in_string && is_control ? rapidjson::kParseErrorStringInvalidEncoding : parsed.Code()));
  }
  return builder.take();
}

struct Writer::Impl {
  explicit Impl(Style style) : pretty_style(style == Style::kPretty), compact(buffer), pretty(buffer) {
    pretty.SetIndent(' ', 2);
  }
  template <class F>
  void with(F&& f) {
    pretty_style ? f(pretty) : f(compact);
  }

  bool pretty_style;
  rapidjson::GenericStringBuffer<rapidjson::UTF8<>, WipingAllocator> buffer;
  rapidjson::Writer<decltype(buffer)> compact;
  rapidjson::PrettyWriter<decltype(buffer)> pretty;
};

Writer::Writer(Style style) : impl_(std::make_unique<Impl>(style)) {}
Writer::~Writer() = default;
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;

Writer& Writer::begin_object() {
  impl_->with([](auto& w) { w.StartObject(); });
  return *this;
}
Writer& Writer::end_object() {
  impl_->with([](auto& w) { w.EndObject(); });
  return *this;
}
Writer& Writer::begin_array() {
  impl_->with([](auto& w) { w.StartArray(); });
  return *this;
}
Writer& Writer::end_array() {
  impl_->with([](auto& w) { w.EndArray(); });
  return *this;
}
Writer& Writer::key(std::string_view name) { return put_string(name); }
Writer& Writer::null() {
  impl_->with([](auto& w) { w.Null(); });
  return *this;
}
Writer& Writer::put_bool(bool v) {
  impl_->with([v](auto& w) { w.Bool(v); });
  return *this;
}
Writer& Writer::put_integer(std::int64_t v) {
  impl_->with([v](auto& w) { w.Int64(v); });
  return *this;
}
Writer& Writer::put_unsigned(std::uint64_t v) {
  impl_->with([v](auto& w) { w.Uint64(v); });
  return *this;
}
Writer& Writer::put_double(double v) {
  if (!std::isfinite(v)) {
    return null();
  }
  impl_->with([v](auto& w) { w.Double(v); });
  return *this;
}
Writer& Writer::put_string(std::string_view v) {
  if (utf8_invalid_at(v) != std::string_view::npos) {
    return put_string(utf8_repair(v));
  }
  const char* data = v.empty() ? "" : v.data();
  impl_->with([&](auto& w) { w.String(data, static_cast<rapidjson::SizeType>(v.size())); });
  return *this;
}

std::string Writer::take() && { return {impl_->buffer.GetString(), impl_->buffer.GetSize()}; }

Writer& Writer::value(const Value& tree) {
  switch (tree.kind()) {
    case Kind::kNull:
      return null();
    case Kind::kBool:
      return put_bool(*tree.boolean());
    case Kind::kInteger:
      return put_integer(tree.int64().value_or(0));
    case Kind::kUnsigned:
      return put_unsigned(tree.uint64().value_or(0));
    case Kind::kDouble:
      return put_double(tree.number().value_or(0));
    case Kind::kString:
      return put_string(*tree.string());
    case Kind::kArray:
      begin_array();
      for (const Value& element : *tree.array()) {
        value(element);
      }
      return end_array();
    case Kind::kObject:
      begin_object();
      for (const Member& member : tree.object()->members) {
        key(member.name).value(member.value);
      }
      return end_object();
  }
  return *this;
}

std::string to_text(const Value& value, Style style) {
  Writer writer(style);
  writer.value(value);
  return std::move(writer).take();
}

}  // namespace msp::json
