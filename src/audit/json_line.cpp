// SPDX-License-Identifier: Apache-2.0
#include "audit/json_line.h"

#include <charconv>

#include "audit/redact.h"
#include "base/clock.h"
#include "base/json.h"

namespace msp::audit {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

/// `,"name":`
void append_name(std::string& out, std::string_view name) {
  out += ",\"";
  out += name;
  out += "\":";
}

void append_number(std::string& out, std::string_view name, std::uint64_t value) {
  append_name(out, name);
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_text(std::string& out, std::string_view name, std::string_view value) {
  if (!value.empty()) {
    append_name(out, name);
    json::append_json_string(out, value);
  }
}

void append_flag(std::string& out, std::string_view name, bool value) {
  if (value) {
    append_name(out, name);
    out += "true";
  }
}

void append_caller(std::string& out, const Record& record) {
  append_number(out, "uid", record.uid);
  append_number(out, "gid", record.gid);
  append_text(out, "user", record.user);
  append_number(out, "pid", record.pid);
  append_number(out, "start_time_ns", record.start_time_ns);
  append_text(out, "exe", record.exe);
  append_text(out, "process", record.process);
  append_number(out, "cgroup_id", record.cgroup_id);
}

}  // namespace

void LineWriter::append_time(std::string& out, std::int64_t time_ns) {
  if (time_ns < 0) {
    out += timestamp_us(time_ns);
    return;
  }
  if (time_ns / kNsPerSecond != second_) {
    second_ = time_ns / kNsPerSecond;
    date_ = timestamp_us(time_ns).substr(0, 20);  // with the point
  }
  auto micros = static_cast<std::uint32_t>(time_ns % kNsPerSecond / 1000);
  std::array<char, 7> fraction{};
  fraction[6] = 'Z';
  for (std::size_t i = 6; i-- > 0; micros /= 10) {
    fraction[i] = static_cast<char>('0' + micros % 10);
  }
  out += date_;
  out.append(fraction.data(), fraction.size());
}

void LineWriter::append(std::string& out, const Record& record) {
  out += "{\"time\":\"";
  append_time(out, record.time_ns);
  out += "\",\"request_id\":\"";
  out += view(record.request.text());
  out += '"';
  append_number(out, "connection", record.connection);
  append_text(out, "decision", to_string(record.decision));
  append_number(out, "status", record.status);
  append_text(out, "reason", record.reason);
  append_text(out, "vm", record.vm);
  append_text(out, "service", record.service);
  append_text(out, "method", record.method);
  append_text(out, "target", redact_target(record.target));
  append_text(out, "client", record.client);
  if (record.has_caller) {
    append_caller(out, record);
  }
  append_text(out, "rule_set", record.rule_set);
  append_text(out, "privilege", record.privilege);
  append_text(out, "role", record.role);
  append_text(out, "identity", record.identity);
  append_text(out, "key_guid", record.key_guid);
  append_number(out, "bytes_in", record.bytes_in);
  append_number(out, "bytes_out", record.bytes_out);
  append_number(out, "duration_us", record.duration_us);
  append_flag(out, "stripped", record.stripped);
  append_flag(out, "divergence", record.divergence);
  out += "}\n";
}

}  // namespace msp::audit
