// SPDX-License-Identifier: Apache-2.0
// Reads documents of a host as the field reads them (protocol.md B.2, E.1): members with fixed names and types, unknown
// ones ignored, null like absent where a member is optional; a repeated known member or a wrong type refuses the whole.
// Owned by the caller; any thread. The value must outlive the reader.
// All problems of a document are kept (up to a bound), each with its JSON pointer and never with content; where there
// is one, what was read means nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace msp::json {

/// What is wrong with a document; shared by the readers of its parts.
class Misfits {
 public:
  static constexpr std::size_t kMost = 20;
  struct Misfit {
    std::string pointer;  ///< "" for the document
    std::string what;
  };

  /// `parsed`: the text, for readers that tell lines and columns; it must outlive this.
  explicit Misfits(std::string_view parsed = {}) : parsed_(parsed) {}

  void add(std::string_view pointer, std::string_view what);
  bool any() const { return !list_.empty(); }
  /// The first kMost.
  const std::vector<Misfit>& list() const { return list_; }
  std::size_t count() const { return count_; }
  std::string_view parsed() const { return parsed_; }
  /// All of them in one line; `document`: what was read ("the status document").
  Error error(Source source, std::string_view document) const;

 private:
  std::string_view parsed_;
  std::vector<Misfit> list_;
  std::size_t count_ = 0;
};

class MemberReader {
 public:
  /// A value that is no object is a problem. `pointer`: where it stands ("" for the document).
  MemberReader(const Value& value, std::string pointer, Misfits& misfits);

  /// The member; null when absent, null or repeated.
  const Value* optional(std::string_view name);
  std::optional<std::string> optional_string(std::string_view name);
  std::optional<bool> optional_boolean(std::string_view name);
  std::optional<std::uint32_t> optional_uint32(std::string_view name);
  std::optional<std::vector<std::string>> optional_strings(std::string_view name);
  /// An array, or null when absent.
  const Array* optional_array(std::string_view name);

  std::string string(std::string_view name);
  std::vector<std::string> strings(std::string_view name);

  std::string pointer_to(std::string_view name) const;

 private:
  /// The member as it stands; null when absent or repeated, and the latter is a problem.
  const Value* find(std::string_view name, bool& repeated);
  const Value* required(std::string_view name);
  std::string text_of(std::string_view name, const Value& value);
  std::vector<std::string> texts_of(std::string_view name, const Value& value);

  const Object* object_ = nullptr;
  std::string pointer_;
  Misfits& misfits_;
};

}  // namespace msp::json
