// SPDX-License-Identifier: Apache-2.0
#include "gateway/access_record.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "base/clock.h"
#include "base/json.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kMaxClientText = 1024;

void append_caller(std::string& out, const protocol::Caller& caller) {
  if (caller.uid) {
    fmt::format_to(std::back_inserter(out), R"(,"uid":{})", *caller.uid);
  }
  for (const auto& [name, text] : {std::pair<std::string_view, std::string_view>{"user", caller.user},
                                   {"exe", caller.executable},
                                   {"process", caller.process},
                                   {"unit", caller.unit},
                                   {"denied", caller.denied}}) {
    if (!text.empty()) {
      fmt::format_to(std::back_inserter(out), R"(,"{}":)", name);
      json::append_json_string(out, text);
    }
  }
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOpen:
      return "open";
    case Outcome::kVerified:
      return "verified";
    case Outcome::kExempt:
      return "exempt";
    case Outcome::kChannel:
      return "channel";
    case Outcome::kAudited:
      return "audited";
    case Outcome::kRefused:
      return "refused";
  }
  return "refused";
}

void append_access_record(std::string& out, const AccessRecord& record) {
  const auto& a = record.peer.address;
  fmt::format_to(std::back_inserter(out),
                 R"({{"time":"{}","request_id":"{}","peer":"{}.{}.{}.{}:{}","service":"{}","outcome":"{}","status":{})",
                 timestamp_us(record.realtime_ns), record.request_id, a[0], a[1], a[2], a[3], record.peer.port,
                 to_string(record.service), to_string(record.outcome), record.status);
  if (!record.network.empty()) {
    fmt::format_to(std::back_inserter(out), R"(,"network":"{}")", record.network);
  }
  if (!record.reason.empty()) {
    fmt::format_to(std::back_inserter(out), R"(,"reason":"{}")", record.reason);
  }
  if (!record.vm_name.empty()) {
    out += R"(,"vm":)";
    json::append_json_string(out, record.vm_name);
    fmt::format_to(std::back_inserter(out), R"(,"vm_id":"{}")", record.vm_id);
  }
  if (record.elevated) {
    out += *record.elevated ? R"(,"is_root":true)" : R"(,"is_root":false)";
  }
  if (record.caller != nullptr) {
    append_caller(out, *record.caller);
  }
  if (record.body_bytes != 0) {
    fmt::format_to(std::back_inserter(out), R"(,"body_bytes":{})", record.body_bytes);
  }
  if (!record.method.empty()) {
    out += R"(,"method":)";
    json::append_json_string(out, record.method.substr(0, kMaxClientText));
    out += R"(,"path":)";
    json::append_json_string(out, record.path.substr(0, kMaxClientText));
  }
  out += '}';
}

}  // namespace msp::gateway
