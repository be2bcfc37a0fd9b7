// SPDX-License-Identifier: Apache-2.0
#include "protocol/error_form.h"

#include "base/json.h"

namespace msp::protocol {
namespace {

constexpr std::size_t kMostCode = 40;
constexpr std::size_t kMostId = 64;
constexpr std::string_view kCodeBytes = "abcdefghijklmnopqrstuvwxyz0123456789_";
constexpr std::string_view kIdBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string word(const json::Value& tree, std::string_view member, std::size_t most, std::string_view bytes) {
  const json::Value* const value = tree.find(member);
  const std::string* const text = value == nullptr ? nullptr : value->string();
  const bool good = text != nullptr && text->size() <= most && text->find_first_not_of(bytes) == std::string::npos;
  return good ? *text : std::string();
}

}  // namespace

ErrorForm read_error_form(std::string_view body) {
  const auto tree = json::parse(body, {.max_bytes = kMostErrorBody, .max_depth = 8, .max_nodes = 100});
  if (!tree) {
    return {};
  }
  return {.code = word(*tree, "error", kMostCode, kCodeBytes),
          .request_id = word(*tree, "request_id", kMostId, kIdBytes)};
}

bool is_refusal_of_the_key(std::string_view code) {
  return code == "bad_signature" || code == "unknown_key" || code == "key_ended" || code == "foreign_key";
}

}  // namespace msp::protocol
