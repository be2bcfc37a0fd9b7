// SPDX-License-Identifier: Apache-2.0
// One line costs as much as a third of a request's own work if it is put together by appending to a string, so it is
// written through a bare pointer into room that is enough for the worst case.
#include "audit/json_line.h"

#include <algorithm>
#include <charconv>

#include "audit/codec.h"
#include "audit/redact.h"
#include "base/json.h"
#include "base/text_bytes.h"

namespace msp::audit {
namespace {

constexpr std::size_t kDigits = 20;
// All names, punctuation and numbers of a line.
constexpr std::size_t kFixedBound = 1024;

/// `name` is the member with comma, quotes and colon.
char* put_number(char* out, std::string_view name, std::uint64_t value) {
  out = put_text(out, name);
  return std::to_chars(out, out + kDigits, value).ptr;
}

char* put_string(char* out, std::string_view name, std::string_view value) {
  return value.empty() ? out : json::write_json_string(put_text(out, name), value);
}

char* put_caller(char* out, const Record& record) {
  out = put_number(out, ",\"uid\":", record.uid);
  out = put_number(out, ",\"gid\":", record.gid);
  out = put_string(out, ",\"user\":", record.user);
  out = put_number(out, ",\"pid\":", record.pid);
  out = put_number(out, ",\"start_time_ns\":", record.start_time_ns);
  out = put_string(out, ",\"exe\":", record.exe);
  out = put_string(out, ",\"exe_rule\":", record.exe_rule);
  out = put_string(out, ",\"process\":", record.process);
  out = put_number(out, ",\"cgroup_id\":", record.cgroup_id);
  return put_string(out, ",\"cgroup\":", record.cgroup);
}

char* put_dry_run(char* out, const Record& record) {
  out = put_string(out, ",\"dry_run\":", to_string(record.dry_run));
  out = put_string(out, ",\"dry_run_privilege\":", record.dry_run_privilege);
  out = put_string(out, ",\"dry_run_role\":", record.dry_run_role);
  return put_string(out, ",\"dry_run_identity\":", record.dry_run_identity);
}

/// `write(char*)` writes at most `bound` bytes and returns the place behind them.
template <class Write>
void fill(std::string& text, std::size_t bound, Write write) {
  text.resize_and_overwrite(bound, [&](char* out, std::size_t) { return static_cast<std::size_t>(write(out) - out); });
}

}  // namespace

void LineWriter::compose(const Record& record, std::span<const char> part) {
  common_.part.assign(part.data(), part.size());
  const std::size_t bound = kFixedBound + json::json_string_bound(text_bound(record));
  fill(common_.outcome, bound, [&](char* out) {
    out = put_string(out, ",\"decision\":", to_string(record.decision));
    out = put_number(out, ",\"status\":", record.status);
    out = put_string(out, ",\"reason\":", record.reason);
    out = put_string(out, ",\"service\":", record.service);
    out = put_string(out, ",\"method\":", record.method);
    out = put_string(out, ",\"target\":", redact_target(record.target, scratch_));
    if (record.has_caller) {
      out = put_caller(out, record);
    }
    out = put_string(out, ",\"rule_set\":", record.rule_set);
    out = put_string(out, ",\"privilege\":", record.privilege);
    out = put_string(out, ",\"role\":", record.role);
    out = put_string(out, ",\"identity\":", record.identity);
    if (record.dry_run != DryRun::kNone) {
      out = put_dry_run(out, record);
    }
    out = put_string(out, ",\"key_guid\":", record.key_guid);
    out = put_string(out, ",\"host_code\":", record.host_code);
    return put_string(out, ",\"host_request_id\":", record.host_request);
  });
  common_.end = record.stripped ? ",\"stripped\":true" : "";
  common_.end += record.divergence ? ",\"divergence\":true}\n" : "}\n";
}

char* LineWriter::write(char* out, const Record& record) {
  out = time_.write(put_text(out, "{\"time\":\""), record.time_ns);
  out = put_text(put_text(out, "\",\"request_id\":\""), view(record.request.text()));
  out = put_number(out, "\",\"connection\":", record.connection);
  out = put_text(out, common_.outcome);
  out = put_number(out, ",\"bytes_in\":", record.bytes_in);
  out = put_number(out, ",\"bytes_out\":", record.bytes_out);
  out = put_number(out, ",\"duration_us\":", record.duration_us);
  return put_text(out, common_.end);
}

bool LineWriter::append(std::string& out, const Record& record, std::span<const char> encoded) {
  const std::span<const char> part = common_part(encoded);
  const bool alike = std::string_view(part.data(), part.size()) == common_.part;
  if (!alike) {
    compose(record, part);
  }
  const std::size_t before = out.size();
  const std::size_t bound = kFixedBound + common_.outcome.size();
  out.resize_and_overwrite(before + bound, [&](char* data, std::size_t) {
    return static_cast<std::size_t>(write(data + before, record) - data);
  });
  return alike;
}

}  // namespace msp::audit
