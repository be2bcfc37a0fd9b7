// SPDX-License-Identifier: Apache-2.0
#include "status/provision.h"

#include <fmt/core.h>

#include <array>
#include <limits>

#include "base/json.h"

namespace msp::status {
namespace {

// Digits of 2^127 - 1: what is longer is no 128-bit number, and what cannot be read counts as 0 (G.1).
constexpr std::string_view kLargest = "170141183460469231731687303715884105727";
constexpr std::string_view kSmallest = "170141183460469231731687303715884105728";

// A tick of 128 bits, clamped to 64: no finish time is ever outside of these.
std::int64_t parse_tick(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    text.remove_prefix(1);
  }
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return 0;
  }
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
  const std::string_view limit = negative ? kSmallest : kLargest;
  if (text.size() > limit.size() || (text.size() == limit.size() && text > limit)) {
    return 0;
  }
  constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
  std::int64_t value = 0;
  for (const char digit : text) {
    const std::int64_t unit = digit - '0';
    if (value > (max - unit) / 10) {
      value = max;
      break;
    }
    value = value * 10 + unit;
  }
  return negative ? -value : value;
}

LocalAnswer no_metadata() {
  return {.status = 400,
          .body = {},
          .error_code = "metadata_header_missing",
          .error_description = "The request has no Metadata header; send \"Metadata: true\"."};
}

}  // namespace

LocalAnswer answer_provision(const ProvisionView& view, const ProvisionRequest& request) {
  if (!request.has_metadata) {
    return no_metadata();
  }
  const bool finished =
      view.finished_tick_ns >= parse_tick(request.time_tick) || (view.finished_tick_ns > 0 && view.channel_wanted);
  json::Writer writer;
  writer.begin_object().field("finished", finished).field("errorMessage", view.error_message).end_object();
  return {.status = 200,
          .body = std::move(writer).take(),
          .error_code = {},
          .error_description = {},
          .wake_poll = request.has_notify && request.elevated && !finished};
}

LocalAnswer answer_aggregate_status(bool has_metadata, bool elevated, std::string_view aggregate_json) {
  if (!has_metadata) {
    return no_metadata();
  }
  if (!elevated) {
    return {.status = 403,
            .body = {},
            .error_code = "not_elevated",
            .error_description = "The status of the agent is for root only."};
  }
  return {.status = 200, .body = std::string(aggregate_json), .error_code = {}, .error_description = {}};
}

bool Provisioning::report(Flag flag, std::int64_t unix_ns) {
  flags_ |= static_cast<unsigned>(flag);
  if (flags_ != kAllFlags) {
    return false;
  }
  finished_tick_ns_ = unix_ns;
  return true;
}

void Provisioning::restart(std::uint64_t boot_ms) {
  withdraw(kKeyLatch);
  began_ms_ = boot_ms;
  timeout_reported_ = false;
  finished_tick_ns_ = 0;
}

bool Provisioning::is_overdue(std::uint64_t boot_ms) const {
  return flags_ != kAllFlags && !timeout_reported_ && boot_ms - began_ms_ > kTimeoutMs;
}

bool Provisioning::check_timeout(std::uint64_t boot_ms, std::int64_t unix_ns) {
  if (!is_overdue(boot_ms)) {
    return false;
  }
  timeout_reported_ = true;
  finished_tick_ns_ = unix_ns;
  return true;
}

std::string Provisioning::error_text(const Messages& messages) const {
  struct Line {
    Flag flag;
    std::string_view name;
    std::string_view message;
  };
  std::string out;
  for (const Line& line : std::array<Line, 3>{{{kRedirector, "ebpfProgramStatus", messages.redirector},
                                               {kKeyLatch, "keyLatchStatus", messages.key},
                                               {kListener, "proxyListenerStatus", messages.listener}}}) {
    if (!has(line.flag)) {
      out += fmt::format("{} - {}\r\n", line.name, line.message);
    }
  }
  return out;
}

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '\'':
        out += "&apos;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace msp::status
