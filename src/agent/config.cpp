// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "agent/collisions.h"
#include "base/configured_program.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "http/metrics_server.h"
#include "status/control_path.h"

namespace msp::agent {
namespace {

constexpr std::string_view kFieldPath = "/etc/azure/proxy-agent.json";
constexpr std::string_view kFieldName = "proxy-agent.json";
constexpr std::int64_t kMostSeconds = 86'400;
constexpr std::int64_t kMostMs = 3'600'000;

// One object of the file. Each field is read and, where a list is given, recorded for the documentation.
class Section {
 public:
  Section(json::ObjectReader& reader, std::vector<FieldDoc>* docs) : reader_(reader), docs_(docs) {}

  json::ObjectReader& reader() { return reader_; }
  Section child(json::ObjectReader& reader) const { return {reader, docs_}; }

  std::string required_text(std::string_view name) {
    note(name, "text", "required");
    return reader_.string(name);
  }
  std::uint32_t required_number(std::string_view name) {
    note(name, "number", "required");
    return static_cast<std::uint32_t>(reader_.integer(name, {0, std::numeric_limits<std::uint32_t>::max()}));
  }
  // The field writes null for "not set".
  std::optional<std::string> optional_text(std::string_view name, std::string_view shown) {
    note(name, "text", shown);
    return given(name) ? std::optional(reader_.string(name)) : std::nullopt;
  }
  template <class T>
  void number(std::string_view name, T& value, std::int64_t min, std::int64_t max, std::string_view shown = {}) {
    note(name, "number", shown.empty() ? std::to_string(value) : shown);
    value = static_cast<T>(reader_.integer(name, static_cast<std::int64_t>(value), {min, max}));
  }
  template <class T>
  void optional_number(std::string_view name, T& value, std::int64_t min, std::int64_t max) {
    note(name, "number", std::to_string(value));
    if (given(name)) {
      value = static_cast<T>(reader_.integer(name, static_cast<std::int64_t>(value), {min, max}));
    }
  }
  void optional_boolean(std::string_view name, bool& value) {
    note(name, "boolean", value ? "true" : "false");
    if (given(name)) {
      value = reader_.boolean(name);
    }
  }
  /// Absolute; "" only where that has a meaning.
  void path(std::string_view name, std::string& value, bool may_be_empty, std::string_view shown = {}) {
    note(name, "path", shown.empty() ? std::string_view(value) : shown);
    value = reader_.string(name, value);
    // A default is not judged: it is good, or comes from another field whose own fault has been told.
    const json::Value* given = reader_.raw(name);
    if (given != nullptr && given->is_string() && (value.empty() ? !may_be_empty : value.front() != '/')) {
      reader_.fail(name, value.empty() ? "must not be empty" : "must be an absolute path");
    }
  }
  void optional_path(std::string_view name, std::optional<std::string>& value, std::string_view shown) {
    note(name, "path", shown);
    if (reader_.has(name)) {
      value = reader_.string(name);
      if (value->empty() || value->front() != '/') {
        reader_.fail(name, "must be an absolute path");
      }
    }
  }
  void endpoint(std::string_view name, Ipv4Endpoint& value) {
    const std::string fallback = to_string(value);
    note(name, "address:port", fallback);
    const auto parsed = parse_endpoint(reader_.string(name, fallback));
    if (!parsed.ok() || parsed->port == 0) {
      reader_.fail(name, "must be an IPv4 address with a port, such as " + fallback);
    } else {
      value = *parsed;
    }
  }
  void note(std::string_view name, std::string_view type, std::string_view shown) {
    if (docs_ != nullptr) {
      docs_->push_back({reader_.pointer_to(name), std::string(type), std::string(shown)});
    }
  }

 private:
  bool given(std::string_view name) {
    const json::Value* value = reader_.raw(name);
    return value != nullptr && !value->is_null();
  }

  json::ObjectReader& reader_;
  std::vector<FieldDoc>* docs_;
};

// "%NAME%" becomes the variable, or NAME where it is not set (protocol.md H.2).
std::string expand(std::string_view text, const Environment& environment) {
  std::string out;
  while (!text.empty()) {
    const auto open = text.find('%');
    const auto close = open == std::string_view::npos ? open : text.find('%', open + 1);
    if (close == std::string_view::npos) {
      break;
    }
    const std::string_view name = text.substr(open + 1, close - open - 1);
    out += text.substr(0, open);
    out += environment(name).value_or(std::string(name));
    text.remove_prefix(close + 1);
  }
  out += text;
  return out;
}

std::string lower_trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) {
    return {};
  }
  std::string out(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

void read_matching(Section& section, Config& config) {
  const auto text = section.optional_text("canonicalRequestMode", "enforce");
  if (!text.has_value()) {
    return;
  }
  const std::string mode = lower_trimmed(*text);
  if (mode.empty() || mode == "off") {
    config.matching = policy::Matching::kOff;
  } else if (mode == "shadow") {
    config.matching = policy::Matching::kShadow;
  } else if (mode != "enforce") {
    config.warnings.push_back(fmt::format("canonicalRequestMode '{}' is unknown and counts as enforce", *text));
  }
}

/// Any other word counts as Info, as in the field.
log::Level level_of_the_field(std::string_view text) {
  const std::string name = lower_trimmed(text);
  if (name == "trace") {
    return log::Level::kDebug;
  }
  const auto level = name == "bug" || name == "hint" ? std::nullopt : log::parse_level(name);
  return level.value_or(log::Level::kInfo);
}

void read_field_level(Section& section, const Environment& environment, Config& config) {
  const auto folder = [&](std::string_view name) { return expand(section.required_text(name), environment); };
  config.log_folder = folder("logFolder");
  config.event_folder = folder("eventFolder");
  config.latch_key_folder = folder("latchKeyFolder");
  if (section.reader().has("latchKeyFolder") &&
      (config.latch_key_folder.empty() || config.latch_key_folder.front() != '/')) {
    section.reader().fail("latchKeyFolder", "must be an absolute path");
  }
  while (config.latch_key_folder.size() > 1 && config.latch_key_folder.back() == '/') {
    config.latch_key_folder.pop_back();
  }
  config.monitor_interval_s = section.required_number("monitorIntervalInSeconds");
  config.poll_interval_s = section.required_number("pollKeyStatusIntervalInSeconds");
  config.ebpf_program_name = section.required_text("ebpfProgramName");
  std::uint32_t event_files = 30;
  section.optional_number("maxEventFileCount", event_files, 0, std::numeric_limits<std::uint32_t>::max());
  section.optional_text("ebpfFileFullPath", "none");
  section.optional_text("cgroupRoot", "none");
  config.file_log_level = level_of_the_field(section.optional_text("fileLogLevel", "Info").value_or("Info"));
  section.optional_text("fileLogLevelForEvents", "none");
  section.optional_text("fileLogLevelForSystemEvents", "none");
  bool trace = false;
  section.optional_boolean("enableHttpProxyTrace", trace);
  read_matching(section, config);
}

void read_services(Section& ours, Config& config) {
  struct Entry {
    Service service;
    std::string_view name;
    Ipv4Endpoint fallback;
  };
  constexpr std::array<Entry, kServiceCount> entries{{{Service::kImds, "imds", kImdsEndpoint},
                                                      {Service::kWireServer, "wireServer", kWireServerEndpoint},
                                                      {Service::kHostGaPlugin, "hostGaPlugin", kHostGaPluginEndpoint}}};
  auto services = ours.reader().object("services");
  auto names = ours.reader().object("hostNames");
  Section service_section = ours.child(services);
  Section name_section = ours.child(names);
  for (const Entry& entry : entries) {
    ServiceSettings& settings = config.services[static_cast<std::size_t>(entry.service)];
    settings.endpoint = entry.fallback;
    service_section.endpoint(entry.name, settings.endpoint);
    name_section.note(entry.name, "list of names", "[]");
    for (const std::string& name : names.strings(entry.name)) {
      settings.host_names.push_back(lower_trimmed(name));
      if (name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") !=
                              std::string::npos) {
        names.fail(entry.name, "must hold host names without port");
      }
    }
  }
  services.finish();
  names.finish();
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (config.services[i].endpoint == config.services[j].endpoint) {
        ours.reader().fail("services", "two services have the same address and port");
      }
    }
    if (overlap(config.services[i].endpoint, config.listen)) {
      ours.reader().fail("listen", "is the address and port of a service, whose connections are led here");
    }
  }
}

void read_limits(Section& ours, Limits& limits) {
  auto reader = ours.reader().object("limits");
  Section section = ours.child(reader);
  section.number("maxConnections", limits.max_connections, 1, 1'000'000);
  section.number("maxConnectionsPerUser", limits.max_connections_per_user, 1, 1'000'000);
  section.number("headTimeoutMilliseconds", limits.head_timeout_ms, 1, kMostMs);
  section.number("idleTimeoutMilliseconds", limits.idle_timeout_ms, 1, kMostMs);
  section.number("bodyTimeoutMilliseconds", limits.body_timeout_ms, 1, kMostMs);
  section.number("upstreamTimeoutMilliseconds", limits.upstream_timeout_ms, 1, kMostMs);
  section.number("notReadyHoldMilliseconds", limits.not_ready_hold_ms, 0, kMostMs);
  section.number("maxSignedBodyBytes", limits.max_signed_body_bytes, 0, 64 << 20);
  section.number("maxExemptBodyBytes", limits.max_exempt_body_bytes, 0, std::numeric_limits<std::uint32_t>::max());
  reader.finish();
}

void read_mode(Section& ours) {
  ours.note("mode", "text", "channel");
  const std::string mode = ours.reader().string("mode", "channel");
  if (mode == "firewall") {
    ours.reader().fail("mode", "firewall mode (local rules without a channel) is not in this version; leave it out");
  } else if (mode != "channel") {
    ours.reader().fail("mode", "must be \"channel\"");
  }
}

void read_log_level(Section& ours, Config& config) {
  ours.note("logLevel", "error, warn, info or debug", "info");
  constexpr std::array levels{log::Level::kError, log::Level::kWarn, log::Level::kInfo, log::Level::kDebug};
  config.log_level = levels.at(ours.reader().choice("logLevel", 2, {"error", "warn", "info", "debug"}));
}

void read_metrics(Section& ours, Config& config) {
  ours.note("metricsListen", "path or address:port", "none");
  config.metrics_listen = ours.reader().string("metricsListen", "");
  if (config.metrics_listen.empty()) {
    return;
  }
  if (auto good = http::MetricsServer::check_place(config.metrics_listen); !good) {
    ours.reader().fail("metricsListen", good.error().message);
  }
}

void read_ours(Section& ours, Config& config) {
  read_mode(ours);
  ours.endpoint("listen", config.listen);
  if (config.listen.address[0] != 127) {
    ours.reader().fail("listen", "must be a loopback address (127.0.0.0/8)");
  }
  ours.optional_path("cgroup", config.cgroup, "root of the unified hierarchy");
  ours.optional_path("agentCgroup", config.agent_cgroup, "the agent's own, or its slice");
  ours.path("bpfPinDirectory", config.bpf_pin_directory, false);
  ours.path("referenceRoot", config.reference_root, false);
  ours.optional_path("referenceCgroup", config.reference_cgroup, "root of the unified hierarchy");
  ours.path("stateDirectory", config.state_directory, false, "parent of latchKeyFolder");
  ours.path("machineIdFile", config.machine_id_file, false);
  ours.note("controlSocket", "path", config.control_socket);
  config.control_socket = status::read_control_socket(ours.reader());
  config.worker_user = ours.optional_text("workerUser", "openmsp").value_or(std::string());
  read_metrics(ours, config);
  ours.path("auditFile", config.audit_file, true);
  ours.number("auditMaxBytes", config.audit_max_bytes, 65'536, std::int64_t{1} << 40);
  ours.number("auditKeepFiles", config.audit_keep_files, 0, 1'000);
  ours.path("statusFile", config.status_file, true);
  ours.number("statusIntervalSeconds", config.status_interval_s, 1, kMostSeconds);
  ours.number("pollIntervalMilliseconds", config.poll_interval_ms, 10, kMostMs, "pollKeyStatusIntervalInSeconds");
  read_log_level(ours, config);
  read_services(ours, config);
  read_limits(ours, config.limits);
  ours.reader().finish();
}

Result<Config> read(std::string_view text, const Environment& environment, const std::string& own_path,
                    std::vector<FieldDoc>* docs) {
  auto document = json::parse(text, {.skip_bom = true});
  if (!document.ok()) {
    return std::move(document).error();
  }
  json::Problems problems(text, "configuration");
  Config config;
  config.control_socket = status::kDefaultControlSocket;
  json::ObjectReader top(*document, "", problems);
  Section section(top, docs);
  read_field_level(section, environment, config);
  config.state_directory = std::filesystem::path(config.latch_key_folder).parent_path().string();
  // Zero would be a busy loop: the field's own file is taken, but never faster than once a second.
  config.poll_interval_ms = std::clamp<std::uint32_t>(config.poll_interval_s, 1, kMostMs / 1000) * 1000;
  auto ours = top.object("openmsp");
  Section ours_section(ours, docs);
  read_ours(ours_section, config);
  find_collisions(top, ours, config, own_path);
  if (auto result = problems.result(); !result.ok()) {
    return std::move(result).error();
  }
  return config;
}

}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

Result<Config> parse_config(std::string_view text, const Environment& environment, const std::string& own_path) {
  return read(text, environment, own_path, nullptr);
}

Result<Config> load_config(const std::optional<std::string>& path, const Environment& environment) {
  std::string chosen = path.value_or(std::string(kFieldPath));
  if (!path.has_value() && ::access(chosen.c_str(), F_OK) != 0) {
    std::error_code failure;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", failure);
    const auto beside = self.parent_path() / kFieldName;
    if (!failure && ::access(beside.c_str(), F_OK) == 0) {
      chosen = beside.string();
    }
  }
  auto text = file::read(chosen, file::configuration());
  if (!text.ok()) {
    Error error = std::move(text).error().context("configuration");
    if (error.code == ENOENT) {
      error.hint = "name it with --config";
    }
    return error;
  }
  std::error_code no_folder;
  auto config = parse_config(*text, environment, std::filesystem::absolute(chosen, no_folder).string());
  if (!config.ok()) {
    Error error = std::move(config).error().context(chosen);
    if (std::string hint = not_configuration_of("msp-agent", *text); !hint.empty()) {
      error.hint = std::move(hint);
    }
    return error;
  }
  return config;
}

bool take_over(Config& running, const Config& fresh) {
  running.log_level = fresh.log_level;
  running.status_interval_s = fresh.status_interval_s;
  Config rest = fresh;
  rest.warnings = running.warnings;
  return running == rest;
}

std::vector<FieldDoc> documented_fields() {
  std::vector<FieldDoc> docs;
  constexpr std::string_view smallest = R"({"logFolder":"","eventFolder":"","latchKeyFolder":"/k/keys",
    "monitorIntervalInSeconds":60,"pollKeyStatusIntervalInSeconds":15,"ebpfProgramName":""})";
  [[maybe_unused]] const auto config = read(smallest, process_environment(), {}, &docs);
  return docs;
}

}  // namespace msp::agent
