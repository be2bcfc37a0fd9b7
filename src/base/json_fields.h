// SPDX-License-Identifier: Apache-2.0
// Reads our own configuration objects: typed fields, and all that is wrong with them at once, each with its place.
// Owned by the caller; any thread. Text and values must outlive the readers.
// A field that is missing or wrong yields its default and one problem; ask Problems::result() before using anything.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace msp::json {

/// What is wrong, and where.
struct Problem {
  std::string pointer;
  std::string message;
};

/// What is wrong with a document.
class Problems {
 public:
  static constexpr std::size_t kMost = 100;

  /// `text`: what was parsed, for lines and columns; empty: pointers only. `name`: of the file, for messages.
  Problems(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  /// "<pointer> at line 3, column 12: <message>". Beyond kMost they are only counted.
  void add(std::string_view pointer, std::size_t offset, std::string_view message);
  bool empty() const { return lines_.empty(); }
  /// The first kMost, for programs.
  const std::vector<Problem>& list() const { return list_; }
  /// The last line may say how many more there are.
  const std::vector<std::string>& lines() const { return lines_; }
  /// A configuration error that lists all of them, one a line.
  Result<void> result() const;

 private:
  std::string_view text_;
  std::string_view name_;
  std::vector<Problem> list_;
  std::vector<std::string> lines_;
  std::size_t count_ = 0;
};

struct Range {
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

class ObjectReader {
 public:
  /// A value that is no object, or has duplicate members, is a problem; the reader then sees no members.
  ObjectReader(const Value& value, std::string pointer, Problems& problems);
  ObjectReader(const ObjectReader&) = delete;
  ObjectReader& operator=(const ObjectReader&) = delete;

  bool has(std::string_view name) const;
  /// The member as it is, counted as known; null if missing.
  const Value* raw(std::string_view name);

  // With a default: the field may be missing. Without: missing is a problem. Strings hold no NUL.
  std::string string(std::string_view name);
  std::string string(std::string_view name, std::string_view fallback);
  bool boolean(std::string_view name);
  bool boolean(std::string_view name, bool fallback);
  std::int64_t integer(std::string_view name, Range range);
  std::int64_t integer(std::string_view name, std::int64_t fallback, Range range);
  double number(std::string_view name, double fallback, double min, double max);
  /// Index of the text among `choices`; a missing field is `fallback`.
  std::size_t choice(std::string_view name, std::size_t fallback, std::initializer_list<std::string_view> choices);
  /// An array of strings; missing: empty.
  std::vector<std::string> strings(std::string_view name);

  /// A missing object reads as an empty one: its defaults apply.
  ObjectReader object(std::string_view name);
  ObjectReader required_object(std::string_view name);
  /// An array of objects, f(ObjectReader&) for each; missing: none.
  template <class F>
  void each_object(std::string_view name, F&& f) {
    const Array* items = items_of(name);
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
      ObjectReader item((*items)[i], pointer_to(name) + '/' + std::to_string(i), problems_);
      f(item);
    }
  }
  /// Members that nobody asked for, in order (objects used as maps): marks all as known.
  std::vector<const Member*> rest();

  /// Something is wrong with what a field means; the place is the field's (or the object's, if missing).
  void fail(std::string_view name, std::string_view message);
  /// Flags the members that nobody asked for. Call it when all fields have been read.
  void finish();

  const std::string& pointer() const { return pointer_; }
  std::string pointer_to(std::string_view name) const;
  Problems& problems() { return problems_; }

 private:
  ObjectReader(const Value* value, std::string pointer, std::size_t offset, Problems& problems);
  const Value* required(std::string_view name);
  const Array* items_of(std::string_view name);
  void mistyped(std::string_view name, const Value& value, std::string_view expected);

  const Object* object_ = nullptr;
  std::vector<bool> known_;
  std::string pointer_;
  std::size_t offset_ = 0;
  Problems& problems_;
};

}  // namespace msp::json
