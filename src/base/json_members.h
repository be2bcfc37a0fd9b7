// SPDX-License-Identifier: Apache-2.0
// Reads documents of a host as the field reads them (protocol.md B.2, E.1): members with fixed names and types, unknown
// ones ignored, null like absent where a member is optional; a repeated known member or a wrong type refuses the whole.
// Owned by the caller; any thread. The value must outlive the reader.
// The first problem is kept, with its JSON pointer and never with content; what is read after it means nothing.
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
struct FirstProblem {
  std::string text;              ///< empty: nothing
  std::string_view parsed = {};  ///< what was parsed, for readers that tell lines and columns; may be empty
  std::string pointer = {};      ///< where the problem is; "" for the document

  bool any() const { return !text.empty(); }
  void add(std::string_view at, std::string_view what);
  /// `document`: what was read ("the status document").
  Error error(Source source, std::string_view document) const;
};

class MemberReader {
 public:
  /// A value that is no object is a problem. `pointer`: where it stands ("" for the document).
  MemberReader(const Value& value, std::string pointer, FirstProblem& problem);

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
  const Value* required(std::string_view name);
  std::string text_of(std::string_view name, const Value& value);
  std::vector<std::string> texts_of(std::string_view name, const Value& value);

  const Object* object_ = nullptr;
  std::string pointer_;
  FirstProblem& problem_;
};

}  // namespace msp::json
