// SPDX-License-Identifier: Apache-2.0
#include "gateway/audit_view.h"

#include "base/clock.h"
#include "base/json.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kOfRules =
    "mspctl policy explain says which field of the nearest rule the caller misses (docs/first-machine.md)";

void write_time(json::Writer& writer, std::string_view name, std::int64_t at_ns) {
  writer.key(name);
  if (at_ns == 0) {
    writer.null();
  } else {
    writer.value(timestamp_ms(at_ns) + "Z");
  }
}

void write_caller(json::Writer& writer, const AuditRow& row) {
  writer.key("caller");
  if (!row.caller_known) {
    writer.null();
    return;
  }
  writer.begin_object().key("uid");
  if (row.caller.uid) {
    writer.value(std::uint64_t{*row.caller.uid});
  } else {
    writer.null();
  }
  writer.field("user", row.caller.user).field("executable", row.caller.executable);
  writer.field("process", row.caller.process).field("unit", row.caller.unit).end_object();
}

void write_row(json::Writer& writer, const AuditRow& row) {
  const ReasonFacts& fact = facts(row.reason);
  writer.begin_object().field("service", to_string(row.service));
  writer.field("outcome", row.was_refused ? "refused" : "would be refused");
  writer.field("by", row.by_rules() ? "rules" : "host");
  writer.field("reason", row.by_rules() ? std::string_view(row.caller.denied) : fact.code);
  writer.field("remedy", row.by_rules() ? kOfRules : fact.remedy).field("count", row.count);
  write_time(writer, "first", row.first_ns);
  write_time(writer, "last", row.last_ns);
  writer.key("lastRequest").begin_object().field("id", row.request_id);
  writer.field("method", row.method).field("path", row.path).end_object();
  write_caller(writer, row);
  writer.end_object();
}

}  // namespace

std::string audit_json(const AuditReports::OfOne* report) {
  static const AuditReports::OfOne kNone;
  const AuditReports::OfOne& all = report == nullptr ? kNone : *report;
  json::Writer writer;
  writer.begin_object();
  write_time(writer, "since", all.since_ns);
  writer.field("requests", all.looked_at).field("namesCallers", all.names_callers);
  writer.field("others", all.others).key("value").begin_array();
  for (const AuditRow& row : all.rows) {
    write_row(writer, row);
  }
  return std::move(writer.end_array().end_object()).take();
}

}  // namespace msp::gateway
