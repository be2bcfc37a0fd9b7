// SPDX-License-Identifier: Apache-2.0
// What one request leaves in the audit log: every exit of the pipeline fills one of these. Schema: docs/audit.md.
// Filled by the data loop; the views must live until Sink::write returns. Text is of any origin, also from the client.
// Never fails; text that is too long is cut when the record is queued (limits in record.cpp).
#pragma once

#include <cstdint>
#include <string_view>

#include "audit/request_id.h"

namespace msp::audit {

enum class Decision : std::uint8_t {
  kPermit,
  kDeny,   ///< refused, or not served for another reason (malformed, not ready, upstream failed)
  kAudit,  ///< would have been refused; mode audit let it pass
};
std::string_view to_string(Decision decision);

struct Record;
/// The rules let it pass, and the host has refused it (protocol::is_host_refusal): it was not served.
bool refused_by_host(const Record& record);

/// What dry-run rules would have done.
enum class DryRun : std::uint8_t { kNone, kAllow, kDeny };
std::string_view to_string(DryRun dry_run);

struct Record {
  std::int64_t time_ns = 0;  ///< CLOCK_REALTIME when the head was complete
  RequestId request = {};
  std::uint64_t connection = 0;
  Decision decision = Decision::kDeny;
  std::uint16_t status = 0;       ///< sent to the client; 0: none
  std::uint64_t bytes_in = 0;     ///< body, from the client
  std::uint64_t bytes_out = 0;    ///< body, to the client
  std::uint64_t duration_us = 0;  ///< from the complete head to the last byte of the answer

  bool has_caller = false;  ///< false: no identity is known; the six numbers below mean nothing
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t pid = 0;
  std::uint64_t start_time_ns = 0;
  std::uint64_t cgroup_id = 0;

  bool stripped = false;    ///< the client had sent headers that are ours alone
  bool divergence = false;  ///< the two matching modes disagreed
  DryRun dry_run = DryRun::kNone;

  std::string_view service = {};  ///< "imds", "wireserver", "hostga", "local"; "" unknown
  std::string_view method = {};
  std::string_view target = {};  ///< path and query as received; secrets in the query are replaced when it is written
  std::string_view user = {};    ///< name of uid, "" unknown
  std::string_view exe = {};
  std::string_view exe_rule = {};  ///< path of the rules that the executable was found to be; "" none, or not asked
  std::string_view cgroup = {};    ///< path of cgroup_id; "" unknown, or no rule asked
  std::string_view process = {};   ///< command name
  std::string_view reason = {};    ///< stable snake_case code; "" for a plain permit
  std::string_view rule_set = {};  ///< id of the rule set that decided
  std::string_view privilege = {};
  std::string_view role = {};
  std::string_view identity = {};
  std::string_view key_guid = {};  ///< of the key that signed; "" unsigned
  // Of a refusal by the host, in its own words; "" it did not refuse, or did not say.
  std::string_view host_code = {};
  std::string_view host_request = {};  ///< id of the request, in its log and in what the client was answered
  // Of the dry-run rule; not kept with DryRun::kNone.
  std::string_view dry_run_privilege = {};
  std::string_view dry_run_role = {};
  std::string_view dry_run_identity = {};
};

}  // namespace msp::audit
