// SPDX-License-Identifier: Apache-2.0
// The configuration of msp-host as a value: what it listens on, which virtual machines it serves, where its state is.
// Read once at start on the main thread; immutable afterwards.
// Every unknown, repeated or ill-typed field is an error with its place; nothing is served then.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto_sign.h"
#include "base/log.h"
#include "base/net.h"
#include "base/result.h"

namespace msp::gateway {

using Ipv4Address = std::array<std::uint8_t, 4>;  ///< network order

inline constexpr std::string_view kInterfaceRule =
    "must be names of interfaces: up to 15 letters, digits, '.', '-' and '_'";
inline constexpr std::string_view kOneInterfaceRule =
    "must be the name of an interface: up to 15 letters, digits, '.', '-' and '_'";

/// Strict dotted decimal.
Result<Ipv4Address> parse_address(std::string_view text);

struct ListenerConfig {
  Ipv4Endpoint at = {};
  Service service = Service::kImds;
  std::string interface = {};  ///< by which its requests come in; empty: any
};

struct VirtualMachineConfig {
  std::string model;                          ///< path of the model file
  std::vector<Ipv4Address> source_addresses;  ///< empty: the private addresses that the model names
  std::vector<std::string> interfaces = {};   ///< of the host, at which the machine is; for rules that are generated
  std::string network = {};                   ///< interface by which its requests reach the host; empty: any
};

/// Tokens of managed identities; without an issuer there are none.
struct TokensConfig {
  std::string issuer;  ///< URL under which others find the documents that are published
  SignatureAlgorithm algorithm = SignatureAlgorithm::kRs256;
  std::int64_t lifetime_seconds = 86'400;
  Ipv4Endpoint at;  ///< where they are published
};

/// A metadata service that is there already, before which the host stands.
struct UpstreamService {
  Ipv4Endpoint at;
  bool forwarded_for = false;  ///< is told the guest's address in X-Forwarded-For
};

struct UpstreamConfig {
  std::array<std::optional<UpstreamService>, kServiceCount> services;
  std::uint32_t timeout_seconds = 30;  ///< for the head of an answer, and between its pieces

  const UpstreamService* of(Service service) const {
    const auto& found = services[static_cast<std::size_t>(service)];
    return found ? &*found : nullptr;
  }
};

struct Limits {
  std::uint64_t connections = 4096;                    ///< for each listener
  std::uint64_t connections_per_machine = 512;         ///< of these, of one virtual machine
  std::uint64_t connections_of_unknown = 64;           ///< of these, of all callers that belong to none
  std::uint64_t pending_keys = 16;                     ///< for each virtual machine
  std::uint64_t signed_body_bytes = 102'400;           ///< protocol.md D.8
  std::uint64_t body_bytes = std::uint64_t{64} << 20;  ///< that are held for one listener
  std::uint64_t exempt_body_bytes = 104'857'600;
  std::uint64_t report_bytes = std::uint64_t{64} << 20;  ///< of status documents, of all machines
  std::uint64_t imds_per_second = 0;                     ///< for each virtual machine, tokens apart; 0: no limit
  std::uint64_t identity_per_second = 0;                 ///< the same for tokens
  std::uint64_t keys_per_second = 0;                     ///< the same for keys that are issued
};

/// docs/request-extensions.md
enum class ReplayProtection : std::uint8_t {
  kOff,
  kOffered,   ///< of agents that know nonces; others are served without
  kRequired,  ///< a request without a nonce is refused
};
/// Of which machines the host wants to know who the caller is.
enum class CallerHeader : std::uint8_t { kNever, kAudit, kAlways };

/// Fields and defaults: docs/host.md. Paths are absolute after loading.
struct Config {
  std::string state_directory = "/var/lib/msp-host";
  std::string master_key_file;  ///< default: master.key in the state directory
  bool names_master_key_file = false;
  std::string credentials_directory;  ///< the service manager's ($CREDENTIALS_DIRECTORY); empty: none. No field
  std::string metrics_listen;         ///< path of a unix socket, or loopback address:port; empty: none
  std::string admin_socket;           ///< empty: no admin API
  std::string access_log;             ///< empty: standard output
  log::Level log_level = log::Level::kInfo;
  std::vector<ListenerConfig> listeners;
  std::vector<VirtualMachineConfig> virtual_machines;
  std::string model_directory;  ///< every *.json in it is a model; empty: none
  std::vector<std::string> profiles;
  std::string certificate_directory;  ///< of the certificates that models name; empty: there are none
  TokensConfig tokens;
  std::string attestation_file;  ///< key and certificate of attested documents; empty: one is made
  std::uint32_t date_window_seconds = 300;
  ReplayProtection replay = ReplayProtection::kOffered;
  CallerHeader caller = CallerHeader::kAudit;
  UpstreamConfig upstream;
  Limits limits;

  /// SQLite and we keep more beside it; all their names begin so.
  std::string database() const { return state_directory + "/host.db"; }
};

/// `name` is for messages; relative paths in the text start at `directory`.
Result<Config> parse_config(std::string_view text, std::string_view name, const std::string& directory);
Result<Config> load_config(const std::string& path);

}  // namespace msp::gateway
