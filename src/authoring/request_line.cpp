// SPDX-License-Identifier: Apache-2.0
#include "authoring/request_line.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "authoring/case_file.h"
#include "authoring/possible.h"
#include "base/json_fields.h"

namespace msp::authoring {
namespace {

using Kind = RequestLine::Kind;

// docs/audit.md, "Limits".
constexpr std::size_t kTargetLimit = 2048;
constexpr std::size_t kPathLimit = 512;
constexpr std::size_t kTextLimit = 128;

RequestLine other(Kind kind, std::string why) {
  RequestLine out;
  out.kind = kind;
  out.why = std::move(why);
  return out;
}

std::string text_of(const json::Value& record, std::string_view name) {
  const json::Value* const value = record.find(name);
  return value != nullptr && value->string() != nullptr ? *value->string() : std::string();
}

std::optional<Service> service_of(std::string_view text) {
  for (const Service service : {Service::kImds, Service::kWireServer, Service::kHostGaPlugin}) {
    if (text == to_string(service)) {
      return service;
    }
  }
  return std::nullopt;
}

/// Refusals that this tool can find again from the record alone.
bool comparable(std::string_view reason) {
  constexpr std::array<std::string_view, 9> kReasons{"no_rule",        "identity_mismatch",  "not_elevated",
                                                     "explicit_deny",  "rules_unusable",     "path_traversal",
                                                     "secure_channel", "method_not_allowed", "bad_target"};
  return reason.starts_with("canon_") || std::ranges::find(kReasons, reason) != kReasons.end();
}

std::optional<Outcome> recorded_outcome(const json::Value& record) {
  const std::string decision = text_of(record, "decision");
  if (decision == "permit") {
    return Outcome::kPermit;
  }
  if (decision == "audit") {
    return Outcome::kAudit;
  }
  return comparable(text_of(record, "reason")) ? std::optional(Outcome::kDeny) : std::nullopt;
}

RequestLine read_record(const json::Value& record) {
  const std::string name = text_of(record, "service");
  const std::string decision = text_of(record, "decision");
  if (decision != "permit" && decision != "audit" && decision != "deny") {
    return other(Kind::kUnusable, "an audit record without a decision");
  }
  if (name == "local") {
    return other(Kind::kNotForRules, "asked the agent itself");
  }
  const json::Value* const uid = record.find("uid");
  if (uid == nullptr) {
    return other(Kind::kNotForRules, "nobody knows who asked");
  }
  RequestLine out;
  out.method = text_of(record, "method");
  out.target = text_of(record, "target");
  if (out.method.empty() || out.target.empty()) {
    return other(Kind::kNotForRules, "no complete request");
  }
  const std::optional<Service> service = service_of(name);
  const std::optional<std::uint64_t> number = uid->uint64();
  if (!service || !number || *number > UINT32_MAX) {
    return other(Kind::kUnusable, service ? "an audit record whose uid is no number"
                                          : fmt::format("an audit record of the unknown service \"{}\"", name));
  }
  out.kind = Kind::kRequest;
  out.service = *service;
  out.caller.user = text_of(record, "user");
  out.caller.uid = static_cast<std::uint32_t>(*number);
  out.caller.exe = text_of(record, "exe");
  // `process` of the log is the command name; rules compare the base name of the executable.
  out.recorded = recorded_outcome(record);
  out.from_log = true;
  out.by = {.rule_set = text_of(record, "rule_set"),
            .reason = text_of(record, "reason"),
            .privilege = text_of(record, "privilege"),
            .role = text_of(record, "role"),
            .identity = text_of(record, "identity")};
  out.exe_rule = text_of(record, "exe_rule");
  out.caller.cgroup = text_of(record, "cgroup");
  out.redacted = may_be_redacted(out.target);
  out.cut =
      out.target.size() >= kTargetLimit || out.caller.exe.size() >= kPathLimit || out.caller.user.size() >= kTextLimit;
  // What may be cut is not known, like what is not there.
  for (std::string* const text : {&out.exe_rule, &out.caller.cgroup}) {
    if (text->size() >= kPathLimit) {
      text->clear();
    }
  }
  return out;
}

RequestLine read_simple(std::string_view text, const json::Value& value, std::optional<Service> service) {
  json::Problems problems(text, "line");
  json::ObjectReader reader(value, "", problems);
  Case one;
  read_question(reader, service, one);
  const std::optional<Expected> expected = read_expected(reader);
  (void)reader.string("name", "");
  reader.finish();
  if (!problems.empty()) {
    return other(Kind::kUnusable, fmt::format("{}", fmt::join(problems.lines(), "; ")));
  }
  RequestLine out;
  out.kind = Kind::kRequest;
  out.caller = std::move(one.caller);
  out.service = one.url.service;
  out.method = std::move(one.method);
  out.target = std::move(one.url.target);
  out.host = std::move(one.url.host);
  if (expected) {
    out.recorded = expected->outcome;
  }
  return out;
}

}  // namespace

RequestLine read_request_line(std::string_view text, std::optional<Service> service) {
  const auto value = json::parse(text, {.lossy_utf8 = true});
  if (!value) {
    return other(Kind::kUnusable, "no JSON: " + value.error().message);
  }
  if (value->object() == nullptr) {
    return other(Kind::kUnusable, fmt::format("{} instead of an object", json::describe(value->kind())));
  }
  if (value->find("event") != nullptr) {
    return other(Kind::kEvent, {});
  }
  if (value->find("request_id") != nullptr) {
    return read_record(*value);
  }
  if (value->find("request") != nullptr || value->find("as") != nullptr) {
    return read_simple(text, *value, service);
  }
  return other(Kind::kUnusable, "neither a record of the audit log nor a request (as, request)");
}

}  // namespace msp::authoring
