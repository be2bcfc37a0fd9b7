// SPDX-License-Identifier: Apache-2.0
#include "base/json_fields.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"

namespace msp::json {

void Problems::add(std::string_view pointer, std::size_t offset, std::string_view message) {
  // Finding a place reads the text from its start: a document must not be able to ask for that without end.
  if (++count_ > kMost) {
    lines_.resize(kMost);
    lines_.push_back(fmt::format("and {} more", count_ - kMost));
    return;
  }
  list_.push_back({.pointer = std::string(pointer), .message = std::string(message)});
  std::string where(pointer.empty() ? "/" : pointer);
  if (!text_.empty()) {
    const Place place = place_of(text_, offset);
    where += fmt::format(" at line {}, column {}", place.line, place.column);
  }
  // Names in the document must not be able to start a line of their own.
  lines_.push_back(log::escape(fmt::format("{}: {}", where, message)));
}

Result<void> Problems::result() const {
  if (lines_.empty()) {
    return {};
  }
  std::string all = fmt::format("{}: {} problem{}", name_, count_, count_ == 1 ? "" : "s");
  for (const std::string& line : lines_) {
    all += "\n  " + line;
  }
  return config_error(std::move(all));
}

ObjectReader::ObjectReader(const Value& value, std::string pointer, Problems& problems)
    : ObjectReader(&value, std::move(pointer), value.begin, problems) {}

ObjectReader::ObjectReader(const Value* value, std::string pointer, std::size_t offset, Problems& problems)
    : pointer_(std::move(pointer)), offset_(offset), problems_(problems) {
  if (value == nullptr) {
    return;
  }
  if (value->object() == nullptr) {
    problems_.add(pointer_, offset_, fmt::format("expected an object, not {}", describe(value->kind())));
    return;
  }
  if (const Member* twice = value->object()->duplicate()) {
    problems_.add(pointer_to(twice->name), twice->begin, "occurs twice");
    return;
  }
  object_ = value->object();
  known_.resize(object_->members.size());
}

std::string ObjectReader::pointer_to(std::string_view name) const {
  std::string out = pointer_;
  append_pointer(out, name);
  return out;
}

bool ObjectReader::has(std::string_view name) const { return object_ != nullptr && object_->find(name) != nullptr; }

const Value* ObjectReader::raw(std::string_view name) {
  for (std::size_t i = 0; object_ != nullptr && i < object_->members.size(); ++i) {
    if (object_->members[i].name == name) {
      known_[i] = true;
      return &object_->members[i].value;
    }
  }
  return nullptr;
}

const Value* ObjectReader::required(std::string_view name) {
  const Value* value = raw(name);
  // An object that could not be read at all has been reported once; its fields are not missing as well.
  if (value == nullptr && object_ != nullptr) {
    problems_.add(pointer_to(name), offset_, "is missing");
  }
  return value;
}

void ObjectReader::mistyped(std::string_view name, const Value& value, std::string_view expected) {
  problems_.add(pointer_to(name), value.begin, fmt::format("expected {}, not {}", expected, describe(value.kind())));
}

std::string ObjectReader::string(std::string_view name) {
  return required(name) != nullptr ? string(name, {}) : std::string();
}

std::string ObjectReader::string(std::string_view name, std::string_view fallback) {
  const Value* value = raw(name);
  if (value == nullptr) {
    return std::string(fallback);
  }
  if (value->string() == nullptr) {
    mistyped(name, *value, describe(Kind::kString));
    return std::string(fallback);
  }
  if (value->string()->find('\0') != std::string::npos) {
    problems_.add(pointer_to(name), value->begin, "holds a NUL character");
    return std::string(fallback);
  }
  return *value->string();
}

bool ObjectReader::boolean(std::string_view name) { return required(name) != nullptr && boolean(name, false); }

bool ObjectReader::boolean(std::string_view name, bool fallback) {
  const Value* value = raw(name);
  if (value == nullptr) {
    return fallback;
  }
  if (value->boolean() == nullptr) {
    mistyped(name, *value, describe(Kind::kBool));
    return fallback;
  }
  return *value->boolean();
}

std::int64_t ObjectReader::integer(std::string_view name, Range range) {
  return required(name) != nullptr ? integer(name, range.min, range) : range.min;
}

std::int64_t ObjectReader::integer(std::string_view name, std::int64_t fallback, Range range) {
  const Value* value = raw(name);
  if (value == nullptr) {
    return fallback;
  }
  const auto number = value->int64();
  if (!number && !value->uint64()) {
    mistyped(name, *value, describe(Kind::kInteger));
    return fallback;
  }
  if (!number || *number < range.min || *number > range.max) {
    problems_.add(pointer_to(name), value->begin,
                  fmt::format("must be between {} and {}, is {}", range.min, range.max, to_text(*value)));
    return fallback;
  }
  return *number;
}

double ObjectReader::number(std::string_view name, double fallback, double min, double max) {
  const Value* value = raw(name);
  if (value == nullptr) {
    return fallback;
  }
  const auto found = value->number();
  if (!found) {
    mistyped(name, *value, describe(Kind::kDouble));
    return fallback;
  }
  if (!(*found >= min && *found <= max)) {
    problems_.add(pointer_to(name), value->begin,
                  fmt::format("must be between {} and {}, is {}", min, max, to_text(*value)));
    return fallback;
  }
  return *found;
}

std::size_t ObjectReader::choice(std::string_view name, std::size_t fallback,
                                 std::initializer_list<std::string_view> choices) {
  const Value* value = raw(name);
  if (value == nullptr) {
    return fallback;
  }
  if (value->string() == nullptr) {
    mistyped(name, *value, describe(Kind::kString));
    return fallback;
  }
  const auto* it = std::ranges::find(choices, std::string_view(*value->string()));
  if (it != choices.end()) {
    return static_cast<std::size_t>(it - choices.begin());
  }
  std::string list;
  for (const std::string_view choice : choices) {
    list += list.empty() ? "" : ", ";
    append_json_string(list, choice);
  }
  problems_.add(pointer_to(name), value->begin, fmt::format("must be one of {}, is {}", list, to_text(*value)));
  return fallback;
}

const Array* ObjectReader::items_of(std::string_view name) {
  const Value* value = raw(name);
  if (value == nullptr) {
    return nullptr;
  }
  if (value->array() == nullptr) {
    mistyped(name, *value, describe(Kind::kArray));
  }
  return value->array();
}

std::vector<std::string> ObjectReader::strings(std::string_view name) {
  std::vector<std::string> out;
  const Array* items = items_of(name);
  for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
    const Value& item = (*items)[i];
    const std::string* text = item.string();
    if (text == nullptr || text->find('\0') != std::string::npos) {
      problems_.add(
          pointer_to(name) + '/' + std::to_string(i), item.begin,
          text != nullptr ? "holds a NUL character" : fmt::format("expected a string, not {}", describe(item.kind())));
      continue;
    }
    out.push_back(*text);
  }
  return out;
}

ObjectReader ObjectReader::object(std::string_view name) {
  const Value* value = raw(name);
  return {value, pointer_to(name), value != nullptr ? value->begin : offset_, problems_};
}

ObjectReader ObjectReader::required_object(std::string_view name) {
  (void)required(name);
  return object(name);
}

std::vector<const Member*> ObjectReader::rest() {
  std::vector<const Member*> out;
  for (std::size_t i = 0; i < known_.size(); ++i) {
    if (!known_[i]) {
      out.push_back(&object_->members[i]);
      known_[i] = true;
    }
  }
  return out;
}

void ObjectReader::fail(std::string_view name, std::string_view message) {
  const Value* value = object_ != nullptr ? object_->find(name) : nullptr;
  problems_.add(pointer_to(name), value != nullptr ? value->begin : offset_, message);
}

void ObjectReader::finish() {
  for (const Member* member : rest()) {
    problems_.add(pointer_to(member->name), member->begin, "is not known");
  }
}

}  // namespace msp::json
