// SPDX-License-Identifier: Apache-2.0
#include "tests/component/sim_false_host.h"

#include "protocol/key.h"
#include "protocol/status.h"

namespace msp::sim {
namespace {

constexpr std::string_view kType = "application/json; charset=utf-8";

std::string header_of(const test::RequestText& text, std::string_view name) {
  for (const auto& [key, value] : text.headers) {
    if (key == name) {
      return value;
    }
  }
  return {};
}

}  // namespace

void FalseHost::read(const Reply& reply) {
  if (auto key = protocol::parse_key_document(reply.body, Source::kHost); reply.status == 200 && key.ok()) {
    keys_[key->guid] = std::string(key->key()->reveal());
  }
}

Reply FalseHost::give_key(const std::string& id, std::uint32_t incarnation) {
  const Secret key = *random_secret(32);
  const std::string guid = id.empty() ? *random_guid() : id;
  keys_[guid] = std::string(key.reveal());
  const Secret text = protocol::write_key_document(
      {.guid = guid, .incarnation_id = incarnation, .issued = "2025-04-23T12:00:00Z", .key_hex = key.to_hex()},
      json::Style::kCompact);
  return {.status = 200, .body = std::string(text.reveal()), .date = {}, .content_type = std::string(kType)};
}

std::optional<Secret> FalseHost::secret_of(const std::string& id) const {
  const auto found = keys_.find(id);
  return found == keys_.end()
             ? std::nullopt
             : std::optional(*protocol::status_secret(Secret::copy_of(std::string_view(found->second))));
}

Reply FalseHost::status(const test::RequestText& question, const std::string& in_use, const std::string& date) const {
  protocol::StatusDocument document;
  document.authorization_scheme = protocol::kScheme;
  document.key_delivery_method = protocol::kKeyDelivery;
  document.version = "2.0";
  document.secure_channel_enabled = false;
  Reply reply{
      .status = 200, .body = protocol::write_status(document), .date = date, .content_type = std::string(kType)};
  const auto asked = protocol::parse_sign_request(header_of(question, protocol::kSignRequestHeader));
  const auto own = secret_of(in_use);
  if (!asked || !own) {
    return reply;
  }
  const std::string last = asked->linked.empty() ? asked->guid : asked->linked;
  const std::string next = header_of(question, protocol::kSignNextHeader);
  const auto sign = [&](const Secret& secret, const std::string& as) {
    auto mac = HmacSha256::create(secret);
    const std::string asked_date = header_of(question, protocol::kDateHeader);
    const auto digest = protocol::sign_status(*mac, {.nonce = asked->nonce,
                                                     .status = reply.status,
                                                     .asked_date = asked_date,
                                                     .date = reply.date,
                                                     .content_type = reply.content_type,
                                                     .body = reply.body});
    return protocol::format_status_signature({.guid = as, .signature = *digest});
  };
  const auto known = secret_of(last);
  reply.signature = sign(known ? *known : *own, last);
  if (!next.empty()) {
    reply.next_signature = sign(*protocol::linked_secret(known ? *known : *own, *own), next);
  }
  return reply;
}

}  // namespace msp::sim
