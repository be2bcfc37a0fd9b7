// SPDX-License-Identifier: Apache-2.0
#include "content/attested_document.h"

#include <algorithm>
#include <array>
#include <ctime>

namespace msp::content {
namespace {

constexpr std::size_t kLongestNonce = 32;
constexpr std::int64_t kLifetime = std::int64_t{6} * 3600;

std::string time_text(std::int64_t seconds, const char* format) {
  const std::time_t time = seconds;
  std::tm parts{};
  std::array<char, 40> text{};
  if (::gmtime_r(&time, &parts) == nullptr) {
    return {};
  }
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

void copy(json::Writer& writer, const json::Value& instance, std::string_view name, std::string_view pointer) {
  const json::Value* value = instance.at(pointer);
  writer.field(name, value != nullptr && value->is_string() ? std::string_view(*value->string()) : "");
}

}  // namespace

bool is_nonce(std::string_view text) {
  return text.size() <= kLongestNonce && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

std::string attested_text(const json::Value& instance, std::string_view nonce, std::int64_t now_seconds) {
  constexpr const char* kTime = "%m/%d/%y %H:%M:%S -0000";
  json::Writer writer;
  writer.begin_object();
  copy(writer, instance, "licenseType", "/compute/licenseType");
  writer.field("nonce", nonce.empty() ? time_text(now_seconds, "%Y%m%d-%H%M%S") : std::string(nonce));
  writer.key("plan").begin_object();
  for (const std::string_view name : {"name", "product", "publisher"}) {
    copy(writer, instance, name, "/compute/plan/" + std::string(name));
  }
  writer.end_object().key("timeStamp").begin_object().field("createdOn", time_text(now_seconds, kTime));
  writer.field("expiresOn", time_text(now_seconds + kLifetime, kTime)).end_object();
  copy(writer, instance, "vmId", "/compute/vmId");
  copy(writer, instance, "subscriptionId", "/compute/subscriptionId");
  copy(writer, instance, "sku", "/compute/sku");
  return std::move(writer.end_object()).take();
}

}  // namespace msp::content
