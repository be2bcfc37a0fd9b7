// SPDX-License-Identifier: Apache-2.0
// JSON: a strict reader that keeps duplicates and positions, and a writer. RFC 8259.
// Values owned by the caller; any thread. Input may come from anybody: depth, size and node count are bounded.
// Failure is an Error with line and column; a Writer cannot fail (bytes that are no UTF-8 become U+FFFD).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace msp::json {

/// Numbers are kept apart: kInteger fits int64, kUnsigned only uint64, kDouble is all that has a fraction, an exponent
/// or more digits.
enum class Kind : std::uint8_t { kNull, kBool, kInteger, kUnsigned, kDouble, kString, kArray, kObject };

class Value;
struct Member;
using Array = std::vector<Value>;

/// Members in the order of the text, duplicates included: the caller chooses what a duplicate means.
class Object {
 public:
  std::vector<Member> members;

  /// The last member of that name (as most readers do), or null.
  const Value* find(std::string_view name) const;
  /// The first member whose name has occurred before, or null.
  const Member* duplicate() const;
};

class Value {
 public:
  Value() = default;
  /// One of the kinds themselves: a wider constraint would ask whether a Result<Value> could become a Value.
  template <class T>
    requires(std::same_as<T, bool> || std::same_as<T, std::int64_t> || std::same_as<T, std::uint64_t> ||
             std::same_as<T, double> || std::same_as<T, std::string> || std::same_as<T, Array> ||
             std::same_as<T, Object>)
  explicit Value(T value) : data_(std::move(value)) {}

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_string() const { return kind() == Kind::kString; }

  // Null where the value is of another kind.
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const std::string* string() const { return std::get_if<std::string>(&data_); }
  const Array* array() const { return std::get_if<Array>(&data_); }
  const Object* object() const { return std::get_if<Object>(&data_); }
  std::string* string() { return std::get_if<std::string>(&data_); }
  Array* array() { return std::get_if<Array>(&data_); }
  Object* object() { return std::get_if<Object>(&data_); }
  std::optional<std::int64_t> int64() const;
  std::optional<std::uint64_t> uint64() const;
  std::optional<double> number() const;  ///< any kind of number

  /// The last member of that name; null also where this is no object.
  const Value* find(std::string_view name) const;
  /// By JSON pointer (RFC 6901, "" is the value itself); null if there is none.
  const Value* at(std::string_view pointer) const;

  /// Byte range of the value in the text that was parsed: text.substr(begin, end - begin) is its source.
  std::size_t begin = 0;
  std::size_t end = 0;

 private:
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array, Object> data_;
};

struct Member {
  std::string name;
  Value value;
  std::size_t begin = 0;  ///< offset of the name's opening quote
};

struct Options {
  std::size_t max_bytes = std::size_t{4} << 20;
  std::size_t max_depth = 64;
  std::size_t max_nodes = 200'000;  ///< values and member names
  bool skip_bom = false;            ///< a UTF-8 byte order mark at the start is refused unless set
  bool lossy_utf8 = false;          ///< bytes that are no UTF-8 become U+FFFD inside strings; refused unless set
  bool unique_members = false;      ///< refuse an object with two members of one name
  Source source = Source::kConfig;  ///< whose fault an error is
};

/// Exactly one value with blanks around it. Error message: "line 3, column 12: <what is wrong>".
Result<Value> parse(std::string_view text, const Options& options = {});

/// Line and column from 1; columns count characters.
struct Place {
  std::size_t line = 1;
  std::size_t column = 1;
};
Place place_of(std::string_view text, std::size_t offset);

/// "/name" with "~" and "/" escaped.
void append_pointer(std::string& pointer, std::string_view name);

/// "a string", "an object" … for messages.
std::string_view describe(Kind kind);

/// Overwrites all strings of a tree that held a secret.
void wipe(Value& value);

/// Appends the text with quotes and escapes; never fails, allocates only as `out` grows.
void append_json_string(std::string& out, std::string_view text);
/// The same into memory of the caller, who has room for this many bytes. Returns the end.
constexpr std::size_t json_string_bound(std::size_t size) { return 6 * size + 2; }
char* write_json_string(char* out, std::string_view text);

enum class Style : std::uint8_t { kCompact, kPretty };  ///< kPretty: two blanks, no newline at the end

/// Members come out in the order of the calls; begin and end must be balanced.
class Writer {
 public:
  explicit Writer(Style style = Style::kCompact);
  ~Writer();
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;

  Writer& begin_object();
  Writer& end_object();
  Writer& begin_array();
  Writer& end_array();
  Writer& key(std::string_view name);
  Writer& null();
  Writer& value(const Value& tree);

  template <class T>
  Writer& value(const T& v) {
    if constexpr (std::same_as<T, bool>) {
      return put_bool(v);
    } else if constexpr (std::unsigned_integral<T>) {
      return put_unsigned(v);
    } else if constexpr (std::integral<T>) {
      return put_integer(v);
    } else if constexpr (std::floating_point<T>) {
      return put_double(v);
    } else {
      return put_string(v);
    }
  }
  /// key and value: a string, a number, a bool or a Value.
  template <class T>
  Writer& field(std::string_view name, const T& v) {
    return key(name).value(v);
  }

  std::string take() &&;

 private:
  Writer& put_bool(bool v);
  Writer& put_integer(std::int64_t v);
  Writer& put_unsigned(std::uint64_t v);
  Writer& put_double(double v);  ///< not finite: null
  Writer& put_string(std::string_view v);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string to_text(const Value& value, Style style = Style::kCompact);

}  // namespace msp::json
