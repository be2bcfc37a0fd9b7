// SPDX-License-Identifier: Apache-2.0
#include "protocol/status.h"

#include "base/json_members.h"
#include "protocol/charset.h"
#include "protocol/headers.h"
#include "protocol/status_meaning.h"

namespace msp::protocol {
namespace {

json::Options limits() {
  json::Options out = rule_text_limits(Source::kHost);
  out.lossy_utf8 = true;
  return out;
}

AuthorizationRules read_rules(const json::Value& value, json::Misfits& misfits) {
  json::MemberReader reader(value, "/authorizationRules", misfits);
  const auto item = [&](std::string_view name) -> std::optional<RuleItem> {
    const json::Value* const found = reader.optional(name);
    return found == nullptr ? std::nullopt : std::optional(read_rule_item(*found, reader.pointer_to(name), misfits));
  };
  AuthorizationRules out;
  out.imds = item("imds");
  out.wireserver = item("wireserver");
  out.hostga = item("hostga");
  return out;
}

void write_rules(json::Writer& writer, const AuthorizationRules& rules) {
  writer.begin_object();
  const auto item = [&](std::string_view name, const std::optional<RuleItem>& value) {
    if (value) {
      writer.key(name);
      write_rule_item(writer, *value);
    }
  };
  item("imds", rules.imds);
  item("wireserver", rules.wireserver);
  item("hostga", rules.hostga);
  writer.end_object();
}

/// All but the rules.
StatusDocument read_head(json::MemberReader& reader) {
  StatusDocument out;
  out.authorization_scheme = reader.string("authorizationScheme");
  out.key_delivery_method = reader.string("keyDeliveryMethod");
  out.key_incarnation_id = reader.optional_uint32("keyIncarnationId");
  out.key_guid = reader.optional_string("keyGuid");
  out.required_claims_header_pairs = reader.optional_strings("requiredClaimsHeaderPairs");
  out.secure_channel_state = reader.optional_string("secureChannelState");
  out.secure_channel_enabled = reader.optional_boolean("secureChannelEnabled");
  out.version = reader.string("version");
  return out;
}

void read_rules_member(json::MemberReader& reader, json::Misfits& misfits, StatusDocument& out) {
  if (const json::Value* const rules = reader.optional("authorizationRules")) {
    out.authorization_rules = read_rules(*rules, misfits);
  }
}

Result<json::Value> parse_json(std::string_view text) {
  Result<json::Value> value = json::parse(text, limits());
  if (!value) {
    return std::move(value).error().context("the status document is refused");
  }
  return value;
}

}  // namespace

Result<StatusDocument> read_status(std::string_view body, std::string_view content_type) {
  const Result<std::string> text = text_of_body(body, content_type);
  if (!text) {
    return Error(text.error()).context("the status document is refused");
  }
  const Result<json::Value> value = parse_json(*text);
  if (!value) {
    return value.error();
  }
  json::Misfits misfits(*text);
  StatusDocument out = read_status(*value, misfits);
  if (misfits.any()) {
    return refused(misfits);
  }
  return out;
}

StatusDocument read_status(const json::Value& value, json::Misfits& misfits) {
  json::MemberReader reader(value, "", misfits);
  StatusDocument out = read_head(reader);
  // Before the rules: many faults in those must not hide one that is about the document.
  if (value.object() != nullptr) {
    check_meaning(out, misfits);
  }
  read_rules_member(reader, misfits, out);
  return out;
}

Result<StatusDocument> parse_status(std::string_view text) {
  const Result<json::Value> value = parse_json(text);
  if (!value) {
    return value.error();
  }
  json::Misfits misfits(text);
  json::MemberReader reader(*value, "", misfits);
  StatusDocument out = read_head(reader);
  read_rules_member(reader, misfits, out);
  if (misfits.any()) {
    return refused(misfits);
  }
  return out;
}

std::string write_status(const StatusDocument& document) {
  json::Writer writer;
  const auto optional = [&](std::string_view name, const auto& value) {
    if (value) {
      writer.field(name, *value);
    } else {
      writer.key(name).null();
    }
  };
  writer.begin_object();
  writer.field("authorizationScheme", document.authorization_scheme);
  writer.field("keyDeliveryMethod", document.key_delivery_method);
  optional("keyGuid", document.key_guid);
  optional("keyIncarnationId", document.key_incarnation_id);
  writer.key("requiredClaimsHeaderPairs");
  if (document.required_claims_header_pairs) {
    writer.begin_array();
    for (const std::string& claim : *document.required_claims_header_pairs) {
      writer.value(claim);
    }
    writer.end_array();
  } else {
    writer.null();
  }
  if (document.secure_channel_state) {
    writer.field("secureChannelState", *document.secure_channel_state);
  }
  if (document.secure_channel_enabled) {
    writer.field("secureChannelEnabled", *document.secure_channel_enabled);
  }
  writer.field("version", document.version);
  writer.key("authorizationRules");
  if (document.authorization_rules) {
    write_rules(writer, *document.authorization_rules);
  } else {
    writer.null();
  }
  writer.end_object();
  return std::move(writer).take();
}

}  // namespace msp::protocol
