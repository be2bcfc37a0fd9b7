// SPDX-License-Identifier: Apache-2.0
#include "gateway/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/configured_program.h"
#include "base/file.h"
#include "base/interface_name.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "gateway/collisions.h"
#include "http/metrics_server.h"

namespace msp::gateway {
namespace {

std::string absolute(const std::string& directory, const std::string& path) {
  if (path.empty()) {
    return path;
  }
  return (std::filesystem::path(directory) / path).lexically_normal().string();
}

/// 0.0.0.0:0, which meets no other, where the address is at fault.
Ipv4Endpoint read_address_and_port(json::ObjectReader& item, std::int64_t least_port = 0) {
  const auto parsed = parse_address(item.string("address"));
  // That it is missing, or no text, has been told.
  if (const json::Value* given = item.raw("address"); !parsed && given != nullptr && given->is_string()) {
    item.fail("address", parsed.error().message);
  }
  const auto port = static_cast<std::uint16_t>(item.integer("port", {.min = least_port, .max = 65535}));
  return parsed ? Ipv4Endpoint{.address = *parsed, .port = port} : Ipv4Endpoint{};
}

void refuse_beside(const ListenerConfig& other, const ListenerConfig& listener, json::ObjectReader& item) {
  if (!overlap(other.at, listener.at)) {
    return;
  }
  if (other.interface != listener.interface) {
    if (other.interface.empty() || listener.interface.empty()) {
      item.fail("interface", fmt::format("{} is listened on at every interface and at one: the kernel allows either",
                                         to_string(listener.at)));
    }
  } else if (other.at == listener.at) {
    item.fail("address", fmt::format("{} is listened on twice", to_string(listener.at)));
  } else {
    item.fail("address", how_they_meet(listener.at, "a listener", other.at));
  }
}

void read_listener(json::ObjectReader& item, Config& config) {
  ListenerConfig listener;
  listener.at = read_address_and_port(item);
  if (!item.has("service")) {
    item.fail("service", "is missing: imds, wireserver or hostga");
  }
  listener.service = static_cast<Service>(item.choice("service", 0, {"imds", "wireserver", "hostga"}));
  if (item.has("interface")) {
    listener.interface = item.string("interface");
    if (!is_interface_name(listener.interface)) {
      item.fail("interface", kOneInterfaceRule);
    }
  }
  item.finish();
  for (const ListenerConfig& other : config.listeners) {
    refuse_beside(other, listener, item);
  }
  config.listeners.push_back(std::move(listener));
}

void read_virtual_machine(json::ObjectReader& item, const std::string& directory, Config& config) {
  VirtualMachineConfig machine;
  machine.model = absolute(directory, item.string("model"));
  for (const std::string& text : item.strings("sourceAddresses")) {
    if (auto parsed = parse_address(text); parsed) {
      machine.source_addresses.push_back(*parsed);
    } else {
      item.fail("sourceAddresses", parsed.error().message);
    }
  }
  machine.interfaces = item.strings("interfaces");
  if (!std::ranges::all_of(machine.interfaces, is_interface_name)) {
    item.fail("interfaces", kInterfaceRule);
  }
  if (item.has("network")) {
    machine.network = item.string("network");
    if (std::ranges::find(config.listeners, machine.network, &ListenerConfig::interface) == config.listeners.end() ||
        machine.network.empty()) {
      item.fail("network", "must be the interface of a listener: by no other could the machine be heard");
    }
  }
  item.finish();
  config.virtual_machines.push_back(std::move(machine));
}

void read_tokens(json::ObjectReader& root, Config& config) {
  if (!root.has("tokens")) {
    return;
  }
  TokensConfig& out = config.tokens;
  json::ObjectReader tokens = root.object("tokens");
  out.issuer = tokens.string("issuer");
  if (out.issuer.ends_with('/') || (!out.issuer.starts_with("https://") && !out.issuer.starts_with("http://"))) {
    tokens.fail("issuer", "must be an http or https URL without a slash at its end");
  }
  out.algorithm = static_cast<SignatureAlgorithm>(tokens.choice("algorithm", 0, {"RS256", "ES256"}));
  out.lifetime_seconds = tokens.integer("lifetimeSeconds", out.lifetime_seconds, {.min = 300, .max = 7 * 86'400});
  out.at = read_address_and_port(tokens);
  if (const std::string met = meets_a_listener(config, out.at); !met.empty()) {
    tokens.fail("address", met);
  }
  tokens.finish();
}

void read_upstream(json::ObjectReader& root, UpstreamConfig& out) {
  if (!root.has("upstream")) {
    return;
  }
  json::ObjectReader upstream = root.object("upstream");
  for (const Service service : {Service::kImds, Service::kWireServer, Service::kHostGaPlugin}) {
    const std::string_view name = to_string(service);
    if (!upstream.has(name)) {
      continue;
    }
    json::ObjectReader item = upstream.object(name);
    UpstreamService to;
    to.at = read_address_and_port(item, 1);
    to.forwarded_for = item.boolean("forwardedFor", false);
    item.finish();
    out.services[static_cast<std::size_t>(service)] = to;
  }
  out.timeout_seconds = static_cast<std::uint32_t>(upstream.integer("timeoutSeconds", 30, {.min = 1, .max = 600}));
  upstream.finish();
}

/// What may be meant as an address is never made a path: a slip in it would be a socket that nobody asks.
bool is_meant_as_address(std::string_view place) {
  return !place.contains('/') && !place.empty() &&
         (place.contains(':') || (place.front() >= '0' && place.front() <= '9') || place.starts_with("localhost"));
}

void read_metrics(json::ObjectReader& root, const std::string& directory, Config& config) {
  const std::string place = root.string("metricsListen", "");
  config.metrics_listen = is_meant_as_address(place) ? place : absolute(directory, place);
  if (!place.empty() && !http::MetricsServer::check_place(config.metrics_listen)) {
    root.fail("metricsListen",
              "must be the path of a unix socket, 107 bytes at most, or a loopback address with a port");
  }
}

// The public contract's; a service behind the host has its own, and may be asked leaf by leaf (docs/host.md).
constexpr std::uint64_t kImdsPerSecond = 5;
constexpr std::uint64_t kIdentityPerSecond = 20;
// An agent asks for one key in its life; each costs a sync of the database, for which everybody waits.
constexpr std::uint64_t kKeysPerSecond = 5;
// One address may have an eighth of the connections.
constexpr std::uint64_t kShareOfOne = 8;
constexpr std::uint64_t kFewest = 64;

void read_limits(json::ObjectReader limits, bool imds_is_ours, Limits& out) {
  const auto number = [&](std::string_view name, std::uint64_t fallback, std::int64_t min, std::int64_t max) {
    return static_cast<std::uint64_t>(
        limits.integer(name, static_cast<std::int64_t>(fallback), {.min = min, .max = max}));
  };
  out.connections = number("connections", out.connections, 1, 1'000'000);
  const std::uint64_t share = std::max(out.connections / kShareOfOne, std::min(out.connections, kFewest));
  out.connections_per_machine = number("connectionsPerMachine", share, 1, 1'000'000);
  out.connections_of_unknown = number(
      "connectionsOfUnknown", std::clamp<std::uint64_t>(out.connections / kShareOfOne, 1, kFewest), 1, 1'000'000);
  out.pending_keys = number("pendingKeys", out.pending_keys, 1, 1000);
  out.signed_body_bytes = number("signedBodyBytes", out.signed_body_bytes, 0, 64 << 20);
  out.body_bytes = number("bodyBytes", out.body_bytes, 1 << 20, std::int64_t{1} << 40);
  out.exempt_body_bytes = number("exemptBodyBytes", out.exempt_body_bytes, 0, std::int64_t{1} << 40);
  out.report_bytes = number("reportBytes", out.report_bytes, 0, std::int64_t{1} << 40);
  out.imds_per_second = number("imdsPerSecond", imds_is_ours ? kImdsPerSecond : 0, 0, 1'000'000);
  out.identity_per_second = number("identityPerSecond", imds_is_ours ? kIdentityPerSecond : 0, 0, 1'000'000);
  out.keys_per_second = number("keysPerSecond", kKeysPerSecond, 0, 1'000'000);
  limits.finish();
}

}  // namespace

Result<Ipv4Address> parse_address(std::string_view text) {
  auto endpoint = parse_endpoint(fmt::format("{}:1", text));
  if (!endpoint) {
    return config_error(fmt::format("'{}' is not an IPv4 address", text), "write it as 10.0.0.4");
  }
  return endpoint->address;
}

Result<Config> parse_config(std::string_view text, std::string_view name, const std::string& directory) {
  auto tree = json::parse(text, {.skip_bom = true});
  if (!tree) {
    return std::move(tree).error().context(name);
  }
  json::Problems problems(text, name);
  json::ObjectReader root(*tree, "", problems);
  Config config;
  config.state_directory = absolute(directory, root.string("stateDirectory", config.state_directory));
  const std::string master = root.string("masterKeyFile", "");
  config.names_master_key_file = !master.empty();
  config.master_key_file = master.empty() ? config.state_directory + "/master.key" : absolute(directory, master);
  config.access_log = absolute(directory, root.string("accessLog", ""));
  config.admin_socket = absolute(directory, root.string("adminSocket", ""));
  read_metrics(root, directory, config);
  config.log_level =
      static_cast<log::Level>(root.choice("logLevel", 4, {"bug", "error", "warn", "hint", "info", "debug"}));
  root.each_object("listeners", [&](json::ObjectReader& item) { read_listener(item, config); });
  root.each_object("virtualMachines", [&](json::ObjectReader& item) { read_virtual_machine(item, directory, config); });
  config.model_directory = absolute(directory, root.string("modelDirectory", ""));
  config.certificate_directory = absolute(directory, root.string("certificateDirectory", ""));
  for (const std::string& path : root.strings("accessControlProfiles")) {
    config.profiles.push_back(absolute(directory, path));
  }
  {
    json::ObjectReader verification = root.object("verification");
    config.date_window_seconds =
        static_cast<std::uint32_t>(verification.integer("dateWindowSeconds", 300, {.min = 1, .max = 86'400}));
    config.replay =
        static_cast<ReplayProtection>(verification.choice("replayProtection", 1, {"off", "offered", "required"}));
    config.caller = static_cast<CallerHeader>(verification.choice("callerHeader", 1, {"never", "audit", "always"}));
    verification.finish();
  }
  read_upstream(root, config.upstream);
  read_tokens(root, config);
  config.attestation_file = absolute(directory, root.string("attestationFile", ""));
  read_limits(root.object("limits"), config.upstream.of(Service::kImds) == nullptr, config.limits);
  find_collisions(root, config, absolute(directory, std::filesystem::path(name).filename().string()));
  root.finish();
  if (config.listeners.empty() && problems.empty()) {
    root.fail("listeners", "no listener is configured, so nothing would be served");
  }
  if (config.virtual_machines.empty() && config.model_directory.empty() && config.admin_socket.empty() &&
      problems.empty()) {
    root.fail("virtualMachines",
              "no virtual machine is configured: name models here, a modelDirectory, or an adminSocket");
  }
  if (auto result = problems.result(); !result) {
    return std::move(result).error();
  }
  return config;
}

Result<Config> load_config(const std::string& path) {
  auto text = file::read(path, file::configuration());
  if (!text) {
    Error error = std::move(text).error().context("configuration");
    if (error.code == ENOENT) {
      error.hint = "name it with --config";
    }
    return error;
  }
  std::error_code failure;
  const auto full = std::filesystem::absolute(path, failure);
  if (failure) {
    return config_error(fmt::format("configuration {}: {}", path, failure.message()));
  }
  auto config = parse_config(*text, path, full.parent_path().string());
  if (!config) {
    Error error = std::move(config).error();
    if (std::string hint = not_configuration_of("msp-host", *text); !hint.empty()) {
      error.hint = std::move(hint);
    }
    return error;
  }
  return config;
}

}  // namespace msp::gateway
