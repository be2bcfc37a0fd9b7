// SPDX-License-Identifier: Apache-2.0
// The agent's configuration: the field's file (protocol.md H.2) with our settings in one object `openmsp`.
// Read once at start by the assembly, then a constant value; any thread.
// A file that cannot be used is refused as a whole, with every fault in it and its place (JSON pointer):
// Source::kConfig.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/net.h"
#include "base/result.h"
#include "policy/ruleset.h"

namespace msp::agent {

/// Where a guarded service is, and the names besides its address that a client may write into `Host`.
struct ServiceSettings {
  Ipv4Endpoint endpoint;
  std::vector<std::string> host_names;  ///< lower case, without port

  bool operator==(const ServiceSettings&) const = default;
};

/// Bounds of the data path; all above zero.
struct Limits {
  std::uint32_t max_connections = 2048;          ///< a quarter of them for root alone
  std::uint32_t max_connections_per_user = 512;  ///< root is bounded by max_connections only
  std::uint32_t head_timeout_ms = 10'000;
  std::uint32_t idle_timeout_ms = 75'000;
  std::uint32_t body_timeout_ms = 30'000;      ///< without progress
  std::uint32_t upstream_timeout_ms = 60'000;  ///< until the answer's head
  std::uint32_t not_ready_hold_ms = 1'500;
  std::uint32_t max_signed_body_bytes = 102'400;      ///< protocol.md J row 4
  std::uint32_t max_exempt_body_bytes = 104'857'600;  ///< protocol.md D.8

  bool operator==(const Limits&) const = default;
};

struct Config {
  // The field's own fields. Those that ours does not use are read, so that a wrong type is found, and kept for status.
  std::string log_folder;
  std::string event_folder;
  std::string latch_key_folder;
  std::uint32_t monitor_interval_s = 60;
  std::uint32_t poll_interval_s = 15;
  std::string ebpf_program_name;
  log::Level file_log_level = log::Level::kInfo;  ///< of the log file in log_folder
  /// `canonicalRequestMode` (protocol.md E.6, J.2 row 6): absent or unknown means enforce.
  policy::Matching matching = policy::Matching::kEnforce;

  // The object `openmsp`.
  Ipv4Endpoint listen{{127, 0, 0, 1}, 3080};
  std::optional<std::string> cgroup;        ///< absolute path to attach to; absent: root of the unified hierarchy
  std::optional<std::string> agent_cgroup;  ///< absolute path; absent: see intercept::lasting_cgroup()
  std::string bpf_pin_directory = "/sys/fs/bpf/openmsp";
  std::string reference_root = "/proc/1/root";  ///< what the paths of executables in rules are relative to
  std::optional<std::string> reference_cgroup;  ///< what cgroups in rules are relative to; absent: the hierarchy's root
  std::string state_directory;                  ///< default: parent of latch_key_folder
  std::string machine_id_file = "/sys/class/dmi/id/product_uuid";  ///< tells this machine from copies of it
  std::string control_socket;
  std::string worker_user;     ///< empty: `openmsp`, or without such a user a number that is nobody's
  std::string metrics_listen;  ///< path of a unix socket, or loopback address:port; empty: none
  std::string audit_file = "/var/log/openmsp/audit.jsonl";  ///< empty: none
  std::uint64_t audit_max_bytes = 64ULL << 20;
  std::uint32_t audit_keep_files = 5;
  std::string status_file = "/var/log/azure-proxy-agent/status.json";  ///< empty: none
  std::uint32_t status_interval_s = 60;
  std::uint32_t poll_interval_ms = 15'000;              ///< default: poll_interval_s
  std::array<ServiceSettings, kServiceCount> services;  ///< index: Service
  Limits limits;
  log::Level log_level = log::Level::kInfo;

  std::vector<std::string> warnings;  ///< for the log: what was read but will not do what its writer may expect

  bool operator==(const Config&) const = default;

  const ServiceSettings& service(Service s) const { return services[static_cast<std::size_t>(s)]; }

  /// The agent's own log in logFolder, as the existing agent names it.
  std::string log_file() const { return std::filesystem::path(log_folder) / "ProxyAgent.log"; }
  /// Of local rule files.
  std::string rules_folder() const { return std::filesystem::path(latch_key_folder).parent_path() / "rules"; }
};

/// Looks an environment variable up (absent: nullopt).
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
Environment process_environment();

/// `text` is the file's content (root's; a byte order mark is tolerated), `own_path` where it is, absolute: nothing
/// else may be written there; empty: not known. All faults come in one error, a line each.
Result<Config> parse_config(std::string_view text, const Environment& environment, const std::string& own_path = {});

/// `path`, or without one the first of protocol.md H.2's places that exists.
Result<Config> load_config(const std::optional<std::string>& path, const Environment& environment);

/// What SIGHUP changes in a running agent is taken from `fresh`. True: the rest is the same; else it waits for a
/// restart.
bool take_over(Config& running, const Config& fresh);

/// One row of docs/configuration.md, recorded by the reader itself while it reads.
struct FieldDoc {
  std::string pointer;   ///< "/openmsp/listen"
  std::string type;      ///< "text", "number", "path", ...
  std::string fallback;  ///< as shown to a person
};
/// Every field that the reader asks for. A test compares this list with the docs.
std::vector<FieldDoc> documented_fields();

}  // namespace msp::agent
