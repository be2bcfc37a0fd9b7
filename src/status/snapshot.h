// SPDX-License-Identifier: Apache-2.0
// What protects this machine right now, as plain data: for `mspctl status`, status.json and the local endpoint.
// Filled by the assembly on the control thread, passed by value; any thread.
// Holds no secret: key ids only, no rule content, no query strings. Nothing here fails.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/log.h"

namespace msp::status {

/// One kernel program that we rely on.
struct Hook {
  std::string name;  ///< "connect4", "sockops", ...
  bool attached = false;
  bool pinned = false;           ///< survives the agent
  std::uint32_t program_id = 0;  ///< as `bpftool prog` shows it; 0: none
  std::uint32_t link_id = 0;
};

struct Interception {
  std::string cgroup;  ///< attach point
  std::string pin_directory;
  std::vector<Hook> hooks;
  std::string message;  ///< why something is missing; empty if nothing is

  bool complete() const;
};

struct Listener {
  std::string address;  ///< "127.0.0.1:3080"
  bool listening = false;
  std::string message;
};

/// The channel to the host. `phase` is channel::Phase, `state` the text of protocol.md B.4.
struct Channel {
  std::string phase;
  std::string state;
  std::string key_guid;  ///< in use; empty: none
  std::optional<std::uint32_t> incarnation;
  bool closed = false;        ///< redirected requests are answered "not ready"
  bool host_answers = false;  ///< the last poll was good
  int host_status = 0;        ///< that the host answered to it, where it was not; 0: it did not
  std::string disk_trouble;   ///< what a restart would not find of key and marks; empty: nothing
  bool ever_latched = false;
  bool long_poll = false;                            ///< the host holds polls until there is something to say
  bool signed_status = false;                        ///< what the host does not sign is not believed
  bool key_doubted = false;                          ///< the host has another key of the id in use
  bool key_refused = false;                          ///< the host refuses what is signed with the key in use
  std::optional<std::int64_t> host_clock_offset_ms;  ///< host time minus ours; absent: never heard
  std::string message;
  std::string host_code;  ///< with the message: the host's word for its refusal; empty: none
};

struct ServiceState {
  std::string service;   ///< "imds", "wireserver", "hostga"
  std::string endpoint;  ///< "169.254.169.254:80"
  std::string mode;      ///< "enforce", "audit", "disabled"; "unknown" before the host has spoken
  bool redirected = false;
  std::string rule_id;             ///< as the host sent it; empty: none
  std::string message;             ///< e.g. why a rule set is a deny-all
  std::string local_failure = {};  ///< why its local rule file cannot be used; everything is denied then
};

/// A name and how often.
using Count = std::pair<std::string, std::uint64_t>;

/// A group of protocol.md H.3's summaries.
struct SummaryRow {
  std::string user_name;
  std::string ip;
  std::uint16_t port = 0;
  std::string process_command_line;
  std::string response_status;  ///< "403 Forbidden"
  std::uint64_t count = 0;
  std::vector<std::string> user_groups;
  std::string process_full_path;
};

struct Snapshot {
  std::string version;
  std::uint32_t contract_version = 0;
  std::uint32_t pid = 0;
  std::uint64_t uptime_s = 0;
  std::string time;  ///< UTC, as protocol.md H.3 writes it
  std::string canonical_mode;
  Interception interception;
  Listener listener;
  Channel channel;
  std::vector<ServiceState> services;
  std::uint64_t connections = 0;  ///< accepted since start
  std::uint64_t connections_open = 0;
  std::uint64_t requests = 0;
  std::optional<std::uint64_t> overloaded_ago_s;  ///< since one was turned away as all places were taken; none: never
  std::uint64_t stripped = 0;                     ///< requests that came with headers that are ours alone
  std::vector<Count> outcomes;                    ///< requests by outcome: "served", or the code of the refusal
  std::vector<Count> kernel;                      ///< counters of the hooks
  audit::Counters audit;
  std::vector<audit::Refusal> last_refusals;       ///< newest first, bounded
  std::vector<audit::Refusal> last_host_refusals;  ///< of what rules let pass; newest first, bounded
  std::vector<SummaryRow> connection_summary;
  std::vector<SummaryRow> failed_summary;
  std::vector<std::string> warnings;  ///< of the configuration
};

/// What a problem is about, so that doctor can tell what is well beside it.
enum class Area : std::uint8_t { kHooks, kListener, kChannel, kRules, kAudit, kConfiguration };
/// "hooks", "listener", "channel", "rules", "audit", "configuration".
std::string_view to_string(Area area);

/// What is wrong and what the reader can do about it.
struct Problem {
  std::string what;
  std::string remedy;
  Area area = Area::kHooks;
  bool warning = false;  ///< the machine is guarded as its host wants it, or as well as before
};
/// Empty: this machine is protected. A channel that the host has disabled is a problem: nothing guards metadata then.
std::vector<Problem> problems_of(const Snapshot& snapshot);

}  // namespace msp::status
