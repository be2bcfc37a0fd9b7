// SPDX-License-Identifier: Apache-2.0
#include "content/agent_status.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/utf8.h"

namespace msp::content {
namespace {

constexpr json::Options kLimits{
    .max_bytes = std::size_t{1} << 20, .max_depth = 32, .max_nodes = 50'000, .source = Source::kClient};
constexpr std::size_t kMostText = 256;

Error malformed(std::string message) {
  return Error{.source = Source::kClient, .message = std::move(message), .hint = {}, .code = 0};
}

std::string text_at(const json::Value& tree, std::string_view pointer) {
  const json::Value* value = tree.at(pointer);
  return value != nullptr && value->is_string() ? std::string(utf8_truncate(*value->string(), kMostText))
                                                : std::string();
}

}  // namespace

Result<AgentStatus> parse_status_document(std::string document) {
  // Agents fill a page blob up with blanks, and put NULs nowhere.
  const auto end = document.find_last_not_of(" \n");
  document.resize(end == std::string::npos ? 0 : end + 1);
  const auto tree = json::parse(document, kLimits);
  if (!tree) {
    return tree.error();
  }
  const json::Value* agent = tree->at("/aggregateStatus/guestAgentStatus");
  if (agent == nullptr || agent->object() == nullptr) {
    return malformed("no aggregateStatus.guestAgentStatus");
  }
  AgentStatus status{.state = text_at(*agent, "/status"),
                     .version = text_at(*agent, "/version"),
                     .message = text_at(*agent, "/formattedMessage/message"),
                     .document = {}};
  status.document = std::move(document);
  return status;
}

Result<AgentStatus> parse_status_upload(std::string_view json) {
  const auto tree = json::parse(json, kLimits);
  if (!tree) {
    return tree.error();
  }
  const json::Value* content = tree->find("content");
  if (content == nullptr || content->is_null()) {
    return AgentStatus{};
  }
  const auto bytes = content->is_string() ? base64_decode(*content->string()) : std::nullopt;
  if (!bytes) {
    return malformed("content is no base64");
  }
  return parse_status_document(std::string(bytes->begin(), bytes->end()));
}

}  // namespace msp::content
