// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <sstream>

namespace msp::agent {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kFieldLevel =
    R"("logFolder":"/l","eventFolder":"/e","latchKeyFolder":"/var/lib/x/keys","monitorIntervalInSeconds":60,)"
    R"("pollKeyStatusIntervalInSeconds":15,"ebpfProgramName":"ebpf_cgroup.o")";

std::string with(std::string_view more) {
  return "{" + std::string(kFieldLevel) + (more.empty() ? "" : "," + std::string(more)) + "}";
}

Environment no_environment() {
  return [](std::string_view) { return std::nullopt; };
}

Result<Config> parse(std::string_view text) { return parse_config(text, no_environment()); }

std::string fault_of(std::string_view text) {
  const auto config = parse(text);
  return config.ok() ? "accepted" : config.error().text();
}

TEST(Config, DefaultsWithoutOurObject) {
  const auto config = parse(with(""));
  ASSERT_TRUE(config.ok()) << config.error().text();
  EXPECT_EQ(to_string(config->listen), "127.0.0.1:3080");
  EXPECT_EQ(config->state_directory, "/var/lib/x");
  EXPECT_EQ(config->control_socket, "/run/openmsp/agent.sock");
  EXPECT_EQ(config->bpf_pin_directory, "/sys/fs/bpf/openmsp");
  EXPECT_EQ(config->poll_interval_ms, 15000U);
  EXPECT_EQ(config->matching, policy::Matching::kEnforce);
  EXPECT_EQ(config->service(Service::kImds).endpoint, kImdsEndpoint);
  EXPECT_EQ(config->service(Service::kWireServer).endpoint, kWireServerEndpoint);
  EXPECT_EQ(config->service(Service::kHostGaPlugin).endpoint, kHostGaPluginEndpoint);
  EXPECT_FALSE(config->cgroup.has_value());
  EXPECT_EQ(config->limits.not_ready_hold_ms, 1500U);
  EXPECT_TRUE(config->warnings.empty());
}

TEST(Config, FieldFileAsPackagedIsTaken) {
  const auto config = parse(
      "\xEF\xBB\xBF"
      R"({
    "logFolder": "/var/log/azure-proxy-agent", "eventFolder": "/var/log/azure-proxy-agent/events",
    "latchKeyFolder": "/var/lib/azure-proxy-agent/keys", "monitorIntervalInSeconds": 60,
    "pollKeyStatusIntervalInSeconds": 15, "hostGAPluginSupport": 1, "imdsSupport": 1, "wireServerSupport": 2,
    "ebpfProgramName": "ebpf_cgroup.o", "cgroupRoot": "/sys/fs/cgroup", "fileLogLevel": "Trace",
    "fileLogLevelForEvents": "Info", "fileLogLevelForSystemEvents": "Info", "enableHttpProxyTrace": false,
    "canonicalRequestMode": "Shadow"})");
  ASSERT_TRUE(config.ok()) << config.error().text();
  EXPECT_EQ(config->matching, policy::Matching::kShadow);
  EXPECT_EQ(config->state_directory, "/var/lib/azure-proxy-agent");
}

TEST(Config, CanonicalRequestModeOfTheField) {
  const std::map<std::string, policy::Matching> expected{{"off", policy::Matching::kOff},
                                                         {"", policy::Matching::kOff},
                                                         {" SHADOW ", policy::Matching::kShadow},
                                                         {"Enforce", policy::Matching::kEnforce},
                                                         {"strict", policy::Matching::kEnforce}};
  for (const auto& [text, matching] : expected) {
    const auto config = parse(with("\"canonicalRequestMode\":\"" + text + "\""));
    ASSERT_TRUE(config.ok()) << config.error().text();
    EXPECT_EQ(config->matching, matching) << text;
    EXPECT_EQ(config->warnings.size(), text == "strict" ? 1U : 0U) << text;
  }
  EXPECT_TRUE(parse(with("\"canonicalRequestMode\":null")).ok());
}

TEST(Config, FoldersExpandVariables) {
  const Environment environment = [](std::string_view name) -> std::optional<std::string> {
    return name == "BASE" ? std::optional<std::string>("/srv") : std::nullopt;
  };
  const auto config = parse_config(
      R"({"logFolder":"%BASE%/log","eventFolder":"/e/%UNSET%/x","latchKeyFolder":"%BASE%/a/keys/",
          "monitorIntervalInSeconds":60,"pollKeyStatusIntervalInSeconds":15,"ebpfProgramName":"100%"})",
      environment);
  ASSERT_TRUE(config.ok()) << config.error().text();
  EXPECT_EQ(config->log_folder, "/srv/log");
  EXPECT_EQ(config->event_folder, "/e/UNSET/x");
  EXPECT_EQ(config->latch_key_folder, "/srv/a/keys");
  EXPECT_EQ(config->state_directory, "/srv/a");
  EXPECT_EQ(config->ebpf_program_name, "100%");
}

TEST(Config, AllFaultsComeAtOnceWithTheirPlaces) {
  const std::string fault = fault_of(
      "{\"logFolder\":1,\n\"openmsp\":{\"listen\":\"10.0.0.1:3080\",\n\"lisen\":1,"
      "\"limits\":{\"maxConnections\":0,\"what\":1}}}");
  EXPECT_THAT(fault, HasSubstr("/logFolder at line 1"));
  EXPECT_THAT(fault, HasSubstr("eventFolder"));
  EXPECT_THAT(fault, HasSubstr("latchKeyFolder"));
  EXPECT_THAT(fault, HasSubstr("/openmsp/listen at line 2"));
  EXPECT_THAT(fault, HasSubstr("/openmsp/lisen at line 3"));
  EXPECT_THAT(fault, HasSubstr("/openmsp/limits/maxConnections at line 3"));
  EXPECT_THAT(fault, HasSubstr("/openmsp/limits/what at line 3"));
}

TEST(Config, AFaultIsToldOnce) {
  // stateDirectory has its default from latchKeyFolder: it is not at fault where that one is.
  for (const std::string_view latch : {"", R"("latchKeyFolder":7,)", R"("latchKeyFolder":"keys",)"}) {
    const std::string fault = fault_of("{" + std::string(latch) + R"("logFolder":"/l","eventFolder":"/e",
        "monitorIntervalInSeconds":60,"pollKeyStatusIntervalInSeconds":15,"ebpfProgramName":""})");
    EXPECT_THAT(fault, HasSubstr("/latchKeyFolder")) << latch;
    EXPECT_THAT(fault, Not(HasSubstr("stateDirectory"))) << latch;
  }
  EXPECT_THAT(fault_of("[]"), Not(HasSubstr("stateDirectory")));
  EXPECT_THAT(fault_of(with(R"("openmsp":{"stateDirectory":""})")), HasSubstr("/openmsp/stateDirectory"));
  EXPECT_THAT(fault_of(with(R"("openmsp":{"stateDirectory":"state"})")), HasSubstr("absolute path"));
}

TEST(Config, UnknownFieldsAreFaultsInOurObjectOnly) {
  EXPECT_TRUE(parse(with("\"imdsSupport\":{\"deep\":[1]}")).ok());
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"imdsSupport\":1}")), HasSubstr("/openmsp/imdsSupport"));
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"services\":{\"Imds\":\"1.2.3.4:80\"}}")),
              HasSubstr("/openmsp/services/Imds"));
}

TEST(Config, WhatWouldNotDoWhatItSaysIsRefused) {
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"mode\":\"firewall\"}")), HasSubstr("firewall mode"));
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"mode\":\"other\"}")), HasSubstr("/openmsp/mode"));
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"listen\":\"127.0.0.1:0\"}")), HasSubstr("/openmsp/listen"));
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"auditFile\":\"audit.jsonl\"}")), HasSubstr("absolute path"));
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"controlSocket\":\"/" + std::string(120, 'x') + "\"}")),
              HasSubstr("longer than 107"));
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"services\":{\"imds\":\"168.63.129.16:80\"}}")),
              HasSubstr("same address and port"));
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"services\":{\"imds\":\"127.0.0.1:3080\"}}")), HasSubstr("/openmsp/listen"));
  EXPECT_THAT(fault_of(with("\"openmsp\":{\"hostNames\":{\"imds\":[\"a b\"]}}")), HasSubstr("/openmsp/hostNames/imds"));
  EXPECT_THAT(fault_of(with("\"openmsp\":[]")), HasSubstr("/openmsp"));
}

// An agent would append to its own configuration, or write the status over the audit log.
TEST(Config, TwoThingsAtOnePlaceAreRefused) {
  const auto fault = [](std::string_view ours) {
    const std::string text = with("\"openmsp\":{" + std::string(ours) + "}");
    const auto config = parse_config(text, no_environment(), "/etc/x/../agent.json");
    return config.ok() ? "accepted" : config.error().text();
  };
  for (const std::string_view path :
       {"/etc/agent.json", "/etc/./agent.json", "//etc//agent.json", "/a/../etc/agent.json"}) {
    for (const std::string_view field : {"auditFile", "statusFile", "controlSocket", "metricsListen"}) {
      EXPECT_THAT(fault(fmt::format(R"("{}":"{}")", field, path)),
                  AllOf(HasSubstr(fmt::format("/openmsp/{} at line 1, column ", field)),
                        HasSubstr("is the place of this configuration file, too (/etc/agent.json)")));
    }
  }
  EXPECT_THAT(
      fault(R"("auditFile":"/v/a","statusFile":"/v//a")"),
      AllOf(HasSubstr("/openmsp/auditFile at"), HasSubstr("statusFile, too"), Not(HasSubstr("/openmsp/statusFile"))));
  EXPECT_THAT(fault(R"("statusFile":"/var/log/openmsp/audit.jsonl")"),
              AllOf(HasSubstr("/openmsp/statusFile at"), HasSubstr("auditFile, too")))
      << "of the default";
  EXPECT_THAT(fault(R"("auditFile":"/s","controlSocket":"/s")"), HasSubstr("controlSocket, too"));
  EXPECT_THAT(fault(R"("metricsListen":"/s","controlSocket":"/s")"), HasSubstr("/openmsp/metricsListen at"));
  EXPECT_THAT(fault(R"("auditFile":"/l/ProxyAgent.log")"), HasSubstr("the log file in logFolder, too"));
  EXPECT_THAT(fault(R"("auditFile":"/s/ever-latched","stateDirectory":"/s/")"),
              HasSubstr("a mark in stateDirectory, too"));
  EXPECT_THAT(fault(R"("statusFile":"/var/lib/x/status-signed")"), HasSubstr("a mark in stateDirectory, too"));
  EXPECT_THAT(fault(R"("auditFile":"/id","machineIdFile":"/id")"), HasSubstr("machineIdFile, too"));
  EXPECT_THAT(fault(R"("metricsListen":"127.0.0.1:3080")"),
              AllOf(HasSubstr("/openmsp/metricsListen at"), HasSubstr("is the address and port of listen")));
  EXPECT_EQ(fault(R"("metricsListen":"127.0.0.1:3081","auditFile":"","statusFile":"","listen":"127.0.0.2:3081")"),
            "accepted");
  EXPECT_EQ(fault(R"("auditFile":"/etc/agent.json.1","statusFile":"/etc/agent")"), "accepted");
}

// The audit log was rotated over the status, and lay among the keys.
TEST(Config, WhatWouldLieInAnothersPlaceIsRefused) {
  struct Row {
    std::string_view ours;
    std::string_view field;  ///< of the fault; empty: none
    std::string_view other = {};
    std::string own_path = "/etc/agent.json";
  };
  const Row rows[] = {
      {R"("auditFile":"/d/a","statusFile":"/d/a.1")", "auditFile", "collides with statusFile (/d/a.1)"},
      {R"("statusFile":"/var/log/openmsp/audit.jsonl.12")", "statusFile", "auditFile (/var/log/openmsp/audit.jsonl)"},
      {R"("auditFile":"/d/a","statusFile":"/d/a.1/s")", "auditFile", "statusFile"},
      {R"("auditFile":"/d/a","statusFile":"/d/a.")", ""},
      {R"("auditFile":"/d/a","statusFile":"/d/a.1x")", ""},
      {R"("auditFile":"/d/a","statusFile":"/d/a1")", ""},
      {R"("auditFile":"/d/a.1","statusFile":"/d/a")", ""},
      {R"("auditFile":"/d/a")", "auditFile", "this configuration file (/d/a.1)", "/d/a.1"},
      {R"("auditFile":"/d/a")", "", "", "/d/a.json"},
      {R"("auditFile":"/l/ProxyAgent.log.1")", "auditFile", "what the log file in logFolder is rotated to"},
      {R"("statusFile":"/l/ProxyAgent.log.2026-01-01T00.00.00.000-1.log")", "statusFile", "is rotated to"},
      {R"("auditFile":"/l/ProxyAgent.log2")", ""},
      {R"("auditFile":"/l/ProxyAgent")", ""},
      {R"("auditFile":"/var/lib/x/rules/IMDS_Rules.json")", "auditFile", "the folder of local rule files"},
      {R"("auditFile":"/var/lib/x/rules2")", ""},
      {R"("auditFile":"/var/lib/x/keys/x.key")", "auditFile", "collides with latchKeyFolder (/var/lib/x/keys)"},
      {R"("auditFile":"/var/lib/x/y/../keys/")", "auditFile", "is the place of latchKeyFolder, too"},
      {R"("auditFile":"/var/lib/x/keys.jsonl")", ""},
      {R"("auditFile":"/s","stateDirectory":"/s")", "auditFile", "a mark in stateDirectory (/s/ever-latched)"},
      {R"("auditFile":"/s/audit","stateDirectory":"/s")", ""},
      {R"("statusFile":"/l")", "statusFile", "the log file in logFolder (/l/ProxyAgent.log)"},
      {R"("auditFile":"/l/")", "auditFile", "the log file in logFolder"},
      {R"("auditFile":"/l/audit.jsonl","statusFile":"/l/status.json")", ""},
      {R"("controlSocket":"/s","stateDirectory":"/s")", "controlSocket", "a mark in stateDirectory"},
      {R"("controlSocket":"/p","bpfPinDirectory":"/p")", "controlSocket", "is the place of bpfPinDirectory, too"},
      {R"("controlSocket":"/sys/fs/bpf/openmsp/c")", "controlSocket", "bpfPinDirectory"},
      {R"("controlSocket":"/s/c","stateDirectory":"/s","bpfPinDirectory":"/s/p")", ""},
      {R"("bpfPinDirectory":"/s","stateDirectory":"/s")", "bpfPinDirectory", "a mark in stateDirectory"},
      {R"("stateDirectory":"/sys/fs/bpf/openmsp")", "stateDirectory", "bpfPinDirectory"},
      {R"("stateDirectory":"/var/lib/x/keys")", "stateDirectory", "latchKeyFolder"},
      {R"("stateDirectory":"/var/lib/x/")", ""},
      {R"("machineIdFile":"/etc/agent.json")", ""},
      {R"("statusFile":"/d/s","auditFile":"/d/AuthorizationRules_a")", "auditFile", "the dumps of rules"},
      {R"("statusFile":"","auditFile":"/d/AuthorizationRules_a")", ""},
      {R"("metricsListen":"127.0.0.1:81","services":{"imds":"127.0.0.1:81"})", "metricsListen", "of a service"},
      {R"("metricsListen":"127.0.0.1:82","services":{"imds":"127.0.0.1:81"})", ""},
      {R"("metricsListen":"169.254.169.254:80")", "metricsListen", "configuration: 1 problem\n"}};
  for (const Row& row : rows) {
    const auto config =
        parse_config(with(fmt::format(R"("openmsp":{{{}}})", row.ours)), no_environment(), row.own_path);
    const std::string fault = config.ok() ? "accepted" : config.error().text();
    if (row.field.empty()) {
      EXPECT_EQ(fault, "accepted") << row.ours;
    } else {
      EXPECT_THAT(fault, AllOf(HasSubstr(fmt::format("/openmsp/{} at line 1, column ", row.field)),
                               HasSubstr(std::string(row.other))))
          << row.ours;
    }
  }
}

// The log made the folder of keys, open to a group: no key was taken from it.
TEST(Config, TheFieldsOwnFoldersThatMeetAreRefused) {
  struct Row {
    std::string log;
    std::string keys;
    std::string_view field;  ///< of the fault; empty: none
    std::string_view says = {};
    std::string own_path = "/etc/agent.json";
  };
  const Row rows[] = {
      {"/a/keys", "/a/keys", "logFolder", "collides with latchKeyFolder (/a/keys)"},
      {"/a/./keys/", "/a/keys", "logFolder", "collides with latchKeyFolder (/a/keys)"},
      {"/a/keys/log", "/a/keys", "logFolder", "collides with latchKeyFolder (/a/keys)"},
      {"/a", "/a/ProxyAgent.log", "logFolder", "is the place of latchKeyFolder, too (/a/ProxyAgent.log)"},
      {"/a", "/a/ProxyAgent.log/keys", "logFolder", "local rule files (/a/ProxyAgent.log/rules)"},
      {"/a", "/a/ProxyAgent.log.d/keys", "logFolder", "local rule files (/a/ProxyAgent.log.d/rules)"},
      {"/a", "/a/keys", ""},
      {"/a/log", "/a/keys", ""},
      {"/a/keys2", "/a/keys", ""},
      {"/a", "/a/ProxyAgent.logs", ""},
      {"", "/a/keys", ""},
      {"/a/rules", "/a/keys", "logFolder", "collides with the folder of local rule files (/a/rules)"},
      {"/a/rules/log", "/a/keys", "logFolder", "collides with the folder of local rule files (/a/rules)"},
      {"/a/rules2", "/a/keys", ""},
      {"/l", "/a/rules", "latchKeyFolder", "is the place of the folder of local rule files, too (/a/rules)"},
      {"/l", "/a/rules/", "latchKeyFolder", "is the place of the folder of local rule files, too (/a/rules)"},
      {"/l", "/a/keys/..", "latchKeyFolder", "collides with the folder of local rule files (/a/keys/rules)"},
      {"/l", "/", "latchKeyFolder", "collides with the folder of local rule files (/rules)"},
      {"/l", "/a/rules/keys", ""},
      {"/l", "/a/keys/.", "latchKeyFolder", "collides with the folder of local rule files (/a/keys/rules)"},
      {"/etc", "/a/keys", "logFolder", "is the place of this configuration file, too", "/etc/ProxyAgent.log"},
      {"/etc", "/a/keys", "logFolder", "collides with this configuration file", "/etc/ProxyAgent.log.1"},
      {"/etc", "/a/keys", ""},
      {"/l", "/etc", ""}};
  for (const Row& row : rows) {
    const std::string text =
        fmt::format(R"({{"logFolder":"{}","eventFolder":"/e","latchKeyFolder":"{}","monitorIntervalInSeconds":60,)"
                    R"("pollKeyStatusIntervalInSeconds":15,"ebpfProgramName":"e"}})",
                    row.log, row.keys);
    const auto config = parse_config(text, no_environment(), row.own_path);
    const std::string fault = config.ok() ? "accepted" : config.error().text();
    if (row.field.empty()) {
      EXPECT_EQ(fault, "accepted") << text;
    } else {
      EXPECT_THAT(fault,
                  AllOf(HasSubstr(fmt::format("/{} at line 1, column ", row.field)), HasSubstr(std::string(row.says))))
          << text;
    }
  }
}

// What the agent listens on is of a loopback address; that of a service may be mistyped.
TEST(Config, EveryAddressIsNoPlaceToListenOrToLeadTo) {
  for (const std::string_view every : {"0.0.0.0:3080", "[::]:3080", "[::1]:3080"}) {
    for (const std::string_view field : {"listen", "metricsListen"}) {
      EXPECT_THAT(fault_of(with(fmt::format(R"("openmsp":{{"{}":"{}"}})", field, every))),
                  HasSubstr(fmt::format("/openmsp/{} at", field)))
          << every;
    }
  }
  EXPECT_THAT(fault_of(with(R"("openmsp":{"services":{"imds":"0.0.0.0:3080"}})")), HasSubstr("/openmsp/listen"));
  EXPECT_THAT(fault_of(with(R"("openmsp":{"metricsListen":"127.0.0.1:81","services":{"imds":"0.0.0.0:81"}})")),
              HasSubstr("/openmsp/metricsListen at"));
  EXPECT_EQ(fault_of(with(R"("openmsp":{"metricsListen":"127.0.0.1:81","services":{"imds":"0.0.0.0:82"}})")),
            "accepted");
}

TEST(Config, WhereAFileIsIsKnownWhenItIsRead) {
  const std::string path = testing::TempDir() + "collides.json";
  std::ofstream(path) << with(fmt::format(R"("openmsp":{{"auditFile":"{}"}})", path));
  ::chmod(path.c_str(), 0600);
  const auto config = load_config(path, no_environment());
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.error().text(), HasSubstr("/openmsp/auditFile at"));
}

TEST(Config, OurFieldsAreRead) {
  const auto config =
      parse(with(R"("openmsp":{"mode":"channel","listen":"127.0.0.2:4000","cgroup":"/cg","agentCgroup":"/cg/a",
    "bpfPinDirectory":"/p","stateDirectory":"/s","controlSocket":"/c","workerUser":"w","auditFile":"","auditMaxBytes":65536,
    "auditKeepFiles":0,"statusFile":"","statusIntervalSeconds":1,"pollIntervalMilliseconds":50,"logLevel":"debug",
    "services":{"imds":"10.1.1.1:8080"},"hostNames":{"imds":["Metadata.Internal"]},
    "limits":{"maxConnections":7,"notReadyHoldMilliseconds":0}})"));
  ASSERT_TRUE(config.ok()) << config.error().text();
  EXPECT_EQ(to_string(config->listen), "127.0.0.2:4000");
  EXPECT_EQ(config->cgroup, "/cg");
  EXPECT_EQ(config->agent_cgroup, "/cg/a");
  EXPECT_EQ(config->worker_user, "w");
  EXPECT_EQ(config->audit_file, "");
  EXPECT_EQ(config->audit_keep_files, 0U);
  EXPECT_EQ(config->poll_interval_ms, 50U);
  EXPECT_EQ(config->log_level, log::Level::kDebug);
  EXPECT_EQ(to_string(config->service(Service::kImds).endpoint), "10.1.1.1:8080");
  EXPECT_EQ(config->service(Service::kImds).host_names, std::vector<std::string>{"metadata.internal"});
  EXPECT_EQ(config->limits.max_connections, 7U);
  EXPECT_EQ(config->limits.not_ready_hold_ms, 0U);
}

TEST(Config, PollIntervalOfZeroIsNoBusyLoop) {
  const auto config = parse(
      R"({"logFolder":"","eventFolder":"","latchKeyFolder":"/k/keys","monitorIntervalInSeconds":0,
          "pollKeyStatusIntervalInSeconds":0,"ebpfProgramName":""})");
  ASSERT_TRUE(config.ok()) << config.error().text();
  EXPECT_EQ(config->poll_interval_ms, 1000U);
}

TEST(Config, MissingFileNamesItself) {
  const auto config = load_config("/nonexistent/agent.json", no_environment());
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.error().text(), HasSubstr("/nonexistent/agent.json"));
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" `");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" `") - first + 1);
}

TEST(Config, LevelsOfTheLogFileAreTheFields) {
  const auto level = [](std::string_view text) {
    return parse_config(R"({"logFolder":"","eventFolder":"","latchKeyFolder":"/k/keys","monitorIntervalInSeconds":60,
      "pollKeyStatusIntervalInSeconds":15,"ebpfProgramName":"","fileLogLevel":")" +
                            std::string(text) + "\"}",
                        process_environment())
        ->file_log_level;
  };
  EXPECT_EQ(level("Error"), log::Level::kError);
  EXPECT_EQ(level("WARN"), log::Level::kWarn);
  EXPECT_EQ(level("debug"), log::Level::kDebug);
  EXPECT_EQ(level("Trace"), log::Level::kDebug);
  EXPECT_EQ(level("hint"), log::Level::kInfo) << "not one of the field's";
  EXPECT_EQ(level("Off"), log::Level::kInfo);
}

TEST(Config, WhatARunningAgentTakesOver) {
  Config running;
  Config fresh;
  fresh.log_level = log::Level::kDebug;
  fresh.status_interval_s = 5;
  fresh.warnings = {"canonicalRequestMode is odd"};
  EXPECT_TRUE(take_over(running, fresh));
  EXPECT_EQ(running.log_level, log::Level::kDebug);
  EXPECT_EQ(running.status_interval_s, 5U);
  fresh.limits.max_connections = 7;
  EXPECT_FALSE(take_over(running, fresh));
  EXPECT_NE(running.limits.max_connections, 7U);
}

// docs/configuration.md lists exactly what the reader asks for, with its defaults: "| `/pointer` | type | `default` |
// …".
TEST(Config, DocumentationListsEveryFieldWithItsDefault) {
  std::ifstream page(std::string(MSP_SOURCE_DIR) + "/docs/configuration.md");
  std::map<std::string, std::string> documented;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("| `/")) {
      continue;
    }
    std::istringstream cells(line.substr(1));
    std::string pointer;
    std::string type;
    std::string fallback;
    std::getline(cells, pointer, '|');
    std::getline(cells, type, '|');
    std::getline(cells, fallback, '|');
    EXPECT_TRUE(documented.emplace(trimmed(pointer), trimmed(type) + " = " + trimmed(fallback)).second) << line;
  }
  std::map<std::string, std::string> read;
  for (const FieldDoc& field : documented_fields()) {
    read.emplace(field.pointer, field.type + " = " + field.fallback);
  }
  EXPECT_EQ(documented, read);
}

}  // namespace
}  // namespace msp::agent
