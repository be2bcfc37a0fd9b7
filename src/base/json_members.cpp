// SPDX-License-Identifier: Apache-2.0
#include "base/json_members.h"

#include <fmt/core.h>

#include <limits>

namespace msp::json {

void Misfits::add(std::string_view pointer, std::string_view what) {
  if (++count_ <= kMost) {
    list_.push_back({.pointer = std::string(pointer), .what = std::string(what)});
  }
}

Error Misfits::error(Source source, std::string_view document) const {
  std::string message = fmt::format("{} is refused: ", document);
  if (count_ > 1) {
    message += fmt::format("{} problems: ", count_);
  }
  for (std::size_t i = 0; i < list_.size(); ++i) {
    const Misfit& misfit = list_[i];
    message += fmt::format("{}{}: {}", i == 0 ? "" : "; ",
                           misfit.pointer.empty() ? std::string_view("the document") : misfit.pointer, misfit.what);
  }
  if (count_ > list_.size()) {
    message += fmt::format("; and {} more", count_ - list_.size());
  }
  return Error{.source = source, .message = std::move(message), .hint = {}, .code = 0};
}

MemberReader::MemberReader(const Value& value, std::string pointer, Misfits& misfits)
    : object_(value.object()), pointer_(std::move(pointer)), misfits_(misfits) {
  if (object_ == nullptr) {
    misfits_.add(pointer_, fmt::format("expected an object, found {}", describe(value.kind())));
  }
}

std::string MemberReader::pointer_to(std::string_view name) const {
  std::string out = pointer_;
  append_pointer(out, name);
  return out;
}

const Value* MemberReader::find(std::string_view name, bool& repeated) {
  const Member* found = nullptr;
  for (std::size_t i = 0; object_ != nullptr && i < object_->members.size(); ++i) {
    const Member& member = object_->members[i];
    if (member.name != name) {
      continue;
    }
    if (found != nullptr) {
      misfits_.add(pointer_to(name), "the member occurs twice");
      repeated = true;
      return nullptr;
    }
    found = &member;
  }
  return found == nullptr || found->value.is_null() ? nullptr : &found->value;
}

const Value* MemberReader::optional(std::string_view name) {
  bool repeated = false;
  return find(name, repeated);
}

const Value* MemberReader::required(std::string_view name) {
  bool told = object_ == nullptr;
  const Value* const value = find(name, told);
  if (value == nullptr && !told) {
    misfits_.add(pointer_to(name), "the member is missing or null");
  }
  return value;
}

std::string MemberReader::text_of(std::string_view name, const Value& value) {
  if (const std::string* const text = value.string()) {
    return *text;
  }
  misfits_.add(pointer_to(name), fmt::format("expected a string, found {}", describe(value.kind())));
  return {};
}

std::vector<std::string> MemberReader::texts_of(std::string_view name, const Value& value) {
  std::vector<std::string> out;
  const Array* const items = value.array();
  if (items == nullptr) {
    misfits_.add(pointer_to(name), fmt::format("expected an array, found {}", describe(value.kind())));
    return out;
  }
  out.reserve(items->size());
  for (const Value& item : *items) {
    out.push_back(text_of(name, item));
  }
  return out;
}

std::optional<std::string> MemberReader::optional_string(std::string_view name) {
  const Value* const value = optional(name);
  return value == nullptr ? std::nullopt : std::optional(text_of(name, *value));
}

std::optional<bool> MemberReader::optional_boolean(std::string_view name) {
  const Value* const value = optional(name);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (const bool* const flag = value->boolean()) {
    return *flag;
  }
  misfits_.add(pointer_to(name), fmt::format("expected true or false, found {}", describe(value->kind())));
  return std::nullopt;
}

std::optional<std::uint32_t> MemberReader::optional_uint32(std::string_view name) {
  const Value* const value = optional(name);
  if (value == nullptr) {
    return std::nullopt;
  }
  const bool integer = value->kind() == Kind::kInteger || value->kind() == Kind::kUnsigned;
  const std::optional<std::uint64_t> number = integer ? value->uint64() : std::nullopt;
  if (number && *number <= std::numeric_limits<std::uint32_t>::max()) {
    return static_cast<std::uint32_t>(*number);
  }
  misfits_.add(pointer_to(name), "expected a whole number from 0 to 4294967295");
  return std::nullopt;
}

std::optional<std::vector<std::string>> MemberReader::optional_strings(std::string_view name) {
  const Value* const value = optional(name);
  return value == nullptr ? std::nullopt : std::optional(texts_of(name, *value));
}

const Array* MemberReader::optional_array(std::string_view name) {
  const Value* const value = optional(name);
  if (value != nullptr && value->array() == nullptr) {
    misfits_.add(pointer_to(name), fmt::format("expected an array, found {}", describe(value->kind())));
  }
  return value == nullptr ? nullptr : value->array();
}

std::string MemberReader::string(std::string_view name) {
  const Value* const value = required(name);
  return value == nullptr ? std::string() : text_of(name, *value);
}

std::vector<std::string> MemberReader::strings(std::string_view name) {
  const Value* const value = required(name);
  return value == nullptr ? std::vector<std::string>() : texts_of(name, *value);
}

}  // namespace msp::json
