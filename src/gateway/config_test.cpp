// SPDX-License-Identifier: Apache-2.0
#include "gateway/config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace msp::gateway {
namespace {

using testing::HasSubstr;

constexpr std::string_view kSmallest =
    R"({"listeners":[{"address":"127.0.0.1","port":8080,"service":"imds"}],"modelDirectory":"vms"})";

std::string error_of(std::string_view text) {
  auto config = parse_config(text, "host.json", "/etc/x");
  EXPECT_FALSE(config) << text;
  return config ? "" : config.error().text();
}

TEST(Config, HasADefaultForEverythingElse) {
  auto config = parse_config(kSmallest, "host.json", "/etc/x");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->state_directory, "/var/lib/msp-host");
  EXPECT_EQ(config->master_key_file, "/var/lib/msp-host/master.key");
  EXPECT_EQ(config->access_log, "");
  EXPECT_EQ(config->log_level, log::Level::kInfo);
  EXPECT_EQ(config->date_window_seconds, 300U);
  EXPECT_EQ(config->limits.connections, 4096U);
  EXPECT_EQ(config->limits.pending_keys, 16U);
  EXPECT_EQ(config->limits.signed_body_bytes, 102'400U);
  EXPECT_EQ(config->limits.exempt_body_bytes, 104'857'600U);
  EXPECT_EQ(config->limits.imds_per_second, 5U);
  EXPECT_EQ(config->limits.identity_per_second, 20U);
  EXPECT_EQ(config->model_directory, "/etc/x/vms");
  ASSERT_EQ(config->listeners.size(), 1U);
  EXPECT_EQ(to_string(config->listeners[0].at), "127.0.0.1:8080");
  EXPECT_EQ(config->listeners[0].service, Service::kImds);
}

TEST(Config, MetricsAreAtAPathLikeOthersOrAtALoopbackAddress) {
  const auto with = [](std::string_view place) {
    return fmt::format(R"({{"metricsListen":"{}",{})", place, kSmallest.substr(1));
  };
  const std::pair<std::string, const char*> rows[] = {{"run/metrics.sock", "/etc/x/run/metrics.sock"},
                                                      {"metrics.sock", "/etc/x/metrics.sock"},
                                                      {"./a:1", "/etc/x/a:1"},
                                                      {"/run/m.sock", "/run/m.sock"},
                                                      {"127.0.0.1:9464", "127.0.0.1:9464"},
                                                      {"", ""}};
  for (const auto& [place, wanted] : rows) {
    auto config = parse_config(with(place), "host.json", "/etc/x");
    ASSERT_TRUE(config) << config.error().text();
    EXPECT_EQ(config->metrics_listen, wanted);
  }
  for (const std::string& place :
       {std::string("0.0.0.0:9464"), std::string("10.0.0.4:9464"), std::string("127.0.0.1:0"), std::string("127.0.0.1"),
        std::string("9464"), std::string("localhost:9464"), "/" + std::string(107, 'a'), std::string(105, 'a')}) {
    EXPECT_THAT(error_of(with(place)), HasSubstr("/metricsListen")) << place;
  }
}

// A host would append to its own configuration, or write its master key into its database.
TEST(Config, TwoThingsAtOnePlaceAreRefused) {
  constexpr std::string_view kState = R"("stateDirectory":"s",)";
  struct Row {
    std::string_view field;  ///< of the fault; empty: none
    std::string fields;
  };
  std::vector<Row> rows{
      {"accessLog", R"("accessLog":"host.json")"},
      {"accessLog", R"("accessLog":"/etc/x/./host.json")"},
      {"accessLog", R"("accessLog":"//etc/y/../x/host.json")"},
      {"accessLog", R"("accessLog":"/var/lib/msp-host/master.key")"},
      {"accessLog", R"("accessLog":"k","masterKeyFile":"./k")"},
      {"accessLog", R"("accessLog":"a","adminSocket":"a")"},
      {"accessLog", R"("accessLog":"/m","metricsListen":"/m")"},
      {"accessLog", R"("accessLog":"vm.json","virtualMachines":[{"model":"vm.json"}])"},
      {"accessLog", R"("accessLog":"p","accessControlProfiles":["q","p"])"},
      {"accessLog", R"("accessLog":"own.pem","attestationFile":"own.pem")"},
      {"accessLog", R"("accessLog":"vms")"},
      {"accessLog", R"("accessLog":"c/","certificateDirectory":"c")"},
      {"accessLog", R"("accessLog":"s","stateDirectory":"s")"},
      {"adminSocket", R"("adminSocket":"host.json")"},
      {"adminSocket", R"("adminSocket":"s","stateDirectory":"s/")"},
      {"metricsListen", R"("adminSocket":"a","metricsListen":"./a")"},
      {"metricsListen", R"("metricsListen":"127.0.0.1:8080")"},
      {"metricsListen",
       R"("metricsListen":"127.0.0.1:9","tokens":{"issuer":"http://t","address":"127.0.0.1","port":9})"},
      {"masterKeyFile", R"("masterKeyFile":"host.json")"},
      {"masterKeyFile", R"("masterKeyFile":"own.pem","attestationFile":"own.pem")"},
      {"", R"("accessLog":"host.jsonl")"},
      {"", R"("accessLog":"s/access.jsonl","stateDirectory":"s","adminSocket":"s/admin.sock")"},
      {"", R"("accessLog":"vms/access.jsonl","stateDirectory":"vms")"},
      {"", R"("accessControlProfiles":["p","p"],"attestationFile":"p")"},
      {"", R"("adminSocket":"127.0.0.1:9","metricsListen":"127.0.0.1:9")"}};
  for (const std::string_view name : {"host.db", "host.db-wal", "host.db-shm", "host.db.started", "attested.pem",
                                      "issuer-rs256.pem", "issuer-es256.pem"}) {
    for (const std::string_view field : {"accessLog", "adminSocket", "masterKeyFile", "metricsListen"}) {
      rows.push_back({field, fmt::format(R"({}"{}":"s/{}")", kState, field, name)});
    }
    rows.push_back({"", fmt::format(R"({}"accessLog":"s/x-{}")", kState, name)});
  }
  for (const Row& row : rows) {
    const auto config = parse_config(fmt::format("{{{},{}", row.fields, kSmallest.substr(1)), "host.json", "/etc/x");
    const std::string fault = config.ok() ? "" : config.error().text();
    EXPECT_THAT(fault, HasSubstr(row.field.empty() ? "" : fmt::format("/{} at line 1, column ", row.field)))
        << row.fields;
    EXPECT_EQ(fault.empty(), row.field.empty()) << row.fields << fault;
  }
}

TEST(Config, ReadsEveryField) {
  auto config = parse_config(
      R"({"stateDirectory":"state","masterKeyFile":"/k/master.key","accessLog":"a.jsonl","logLevel":"debug",
          "adminSocket":"run/admin.sock",
          "listeners":[{"address":"127.0.0.1","port":0,"service":"wireserver"},
                       {"address":"127.0.0.1","port":0,"service":"hostga"}],
          "virtualMachines":[{"model":"vm.json","sourceAddresses":["10.0.0.4","10.0.0.5"]}],
          "accessControlProfiles":["p.json"],"verification":{"dateWindowSeconds":60},
          "limits":{"connections":10,"pendingKeys":2,"signedBodyBytes":5,"exemptBodyBytes":6}})",
      "host.json", "/etc/x");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->state_directory, "/etc/x/state");
  EXPECT_EQ(config->master_key_file, "/k/master.key");
  EXPECT_EQ(config->access_log, "/etc/x/a.jsonl");
  EXPECT_EQ(config->admin_socket, "/etc/x/run/admin.sock");
  EXPECT_EQ(config->log_level, log::Level::kDebug);
  EXPECT_EQ(config->listeners[1].service, Service::kHostGaPlugin);
  ASSERT_EQ(config->virtual_machines.size(), 1U);
  EXPECT_EQ(config->virtual_machines[0].model, "/etc/x/vm.json");
  EXPECT_EQ(config->virtual_machines[0].source_addresses[1], (Ipv4Address{10, 0, 0, 5}));
  EXPECT_EQ(config->profiles, std::vector<std::string>{"/etc/x/p.json"});
  EXPECT_EQ(config->date_window_seconds, 60U);
  EXPECT_EQ(config->limits.connections, 10U);
  EXPECT_EQ(config->limits.pending_keys, 2U);
  EXPECT_EQ(config->limits.signed_body_bytes, 5U);
  EXPECT_EQ(config->limits.exempt_body_bytes, 6U);
}

TEST(Config, WithAnAdminSocketThereNeedBeNoMachineYet) {
  const std::string listener = R"("listeners":[{"address":"127.0.0.1","port":1,"service":"imds"}])";
  EXPECT_TRUE(parse_config("{" + listener + R"(,"adminSocket":"a.sock"})", "host.json", "/etc/x").ok());
  EXPECT_THAT(error_of("{" + listener + "}"), HasSubstr("adminSocket"));
}

TEST(Config, NamesThePlaceOfWhatItRefuses) {
  const std::string listener = R"("listeners":[{"address":"127.0.0.1","port":1,"service":"imds"}])";
  const struct {
    std::string text;
    std::string place;
  } rows[] = {
      {"{\n \"surprise\": 1," + listener + R"(,"modelDirectory":"v"})", "/surprise at line 2"},
      {"{" + listener + R"(,"modelDirectory":1})", "/modelDirectory"},
      {"{" + listener + R"(,"modelDirectory":"v","limits":{"connections":0}})", "/limits/connections"},
      {"{" + listener + R"(,"modelDirectory":"v","limits":{"conections":1}})", "/limits/conections"},
      {"{" + listener + R"(,"modelDirectory":"v","verification":{"dateWindowSeconds":"5"}})",
       "/verification/dateWindowSeconds"},
      {"{" + listener + R"(,"modelDirectory":"v","logLevel":"loud"})", "/logLevel"},
      {R"({"listeners":[{"address":"host","port":1,"service":"imds"}],"modelDirectory":"v"})", "/listeners/0/address"},
      {R"({"listeners":[{"address":"","port":1,"service":"imds"}],"modelDirectory":"v"})", "/listeners/0/address"},
      {"{" + listener + R"(,"modelDirectory":"v","upstream":{"imds":{"address":"","port":1}}})",
       "/upstream/imds/address"},
      {"{" + listener + R"(,"modelDirectory":"v","tokens":{"issuer":"http://t","address":"","port":1}})",
       "/tokens/address"},
      {R"({"listeners":[{"address":"127.0.0.1","port":70000,"service":"imds"}],"modelDirectory":"v"})",
       "/listeners/0/port"},
      {R"({"listeners":[{"address":"127.0.0.1","port":1,"service":"dns"}],"modelDirectory":"v"})",
       "/listeners/0/service"},
      {R"({"listeners":[{"address":"127.0.0.1","port":1}],"modelDirectory":"v"})", "/listeners/0"},
      {R"({"listeners":[{"address":"127.0.0.1","port":1,"service":"imds"},
          {"address":"127.0.0.1","port":1,"service":"hostga"}],"modelDirectory":"v"})",
       "/listeners/1/address"},
      {"{" + listener + R"(,"virtualMachines":[{"model":"m","sourceAddresses":["10.0.0.256"]}]})",
       "/virtualMachines/0/sourceAddresses"},
      {"{" + listener + R"(,"virtualMachines":[{"sourceAddresses":[]}]})", "/virtualMachines/0"},
      {R"({"modelDirectory":"v"})", "listeners"},
      {"{" + listener + "}", "virtualMachines"},
      {"{" + listener + R"(,"modelDirectory":"v","modelDirectory":"w"})", "modelDirectory"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(error_of(row.text), HasSubstr(row.place));
    EXPECT_THAT(error_of(row.text), HasSubstr("host.json"));
  }
  EXPECT_THAT(error_of("{\n\"listeners\": [}"), HasSubstr("line 2"));
}

TEST(Config, AnAddressIsListenedOnAtEveryInterfaceOrAtSeveral) {
  const auto with = [](std::string_view first, std::string_view second) {
    return fmt::format(R"({{"listeners":[{{"address":"127.0.0.1","port":1,"service":"imds"{}}},)"
                       R"({{"address":"127.0.0.1","port":1,"service":"imds"{}}}],"modelDirectory":"v"}})",
                       first, second);
  };
  const std::string_view a = R"(,"interface":"br-a")";
  const std::string_view b = R"(,"interface":"br-b.7")";
  const auto config = parse_config(with(a, b), "host.json", "/etc/x");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->listeners[0].interface, "br-a");
  EXPECT_EQ(config->listeners[1].interface, "br-b.7");
  EXPECT_THAT(error_of(with(a, a)), HasSubstr("/listeners/1/address"));
  EXPECT_THAT(error_of(with("", b)), HasSubstr("/listeners/1/interface"));
  EXPECT_THAT(error_of(with(a, "")), HasSubstr("at every interface and at one"));
  for (const std::string_view bad : {R"("")", R"("a b")", R"("longer-than-an-interface")", "7"}) {
    EXPECT_THAT(error_of(with(a, fmt::format(R"(,"interface":{})", bad))), HasSubstr("/listeners/1/interface")) << bad;
  }
}

// The kernel would refuse the second one, after the first is bound.
TEST(Config, SocketsThatTheKernelAllowsEitherOfAreRefused) {
  struct Row {
    std::string_view first;   ///< listener
    std::string_view second;  ///< listener
    std::string_view more;    ///< further fields
    std::string_view place;   ///< of the fault; empty: none
    std::string_view says = {};
  };
  const Row rows[] = {
      {R"("0.0.0.0","port":80)", R"("10.0.0.4","port":80)", "", "/listeners/1/address at", "every address"},
      {R"("10.0.0.4","port":80)", R"("0.0.0.0","port":80)", "", "/listeners/1/address at", "10.0.0.4:80"},
      {R"("0.0.0.0","port":80,"interface":"a")", R"("10.0.0.4","port":80,"interface":"a")", "",
       "/listeners/1/address at", "every address"},
      {R"("0.0.0.0","port":80,"interface":"a")", R"("10.0.0.4","port":80)", "", "/listeners/1/interface at",
       "at every interface and at one"},
      {R"("0.0.0.0","port":80,"interface":"a")", R"("10.0.0.4","port":80,"interface":"b")", "", ""},
      {R"("0.0.0.0","port":80)", R"("10.0.0.4","port":81)", "", ""},
      {R"("0.0.0.0","port":0)", R"("10.0.0.4","port":0)", "", ""},
      {R"("10.0.0.4","port":80)", R"("10.0.0.5","port":80)", "", ""},
      {R"("10.0.0.4","port":0)", R"("10.0.0.4","port":0)", "", ""},
      {R"("[::]","port":80)", R"("10.0.0.4","port":80)", "", "/listeners/0/address at", "is not an IPv4 address"},
      // What tokens are published at.
      {R"("10.0.0.4","port":80)", R"("10.0.0.5","port":81)", R"("address":"10.0.0.5","port":81)", "/tokens/address at",
       "is the address and port of a listener"},
      {R"("10.0.0.4","port":80)", R"("0.0.0.0","port":81)", R"("address":"10.0.0.5","port":81)", "/tokens/address at",
       "meets a listener at 0.0.0.0:81"},
      {R"("10.0.0.4","port":80)", R"("10.0.0.5","port":81)", R"("address":"0.0.0.0","port":81)", "/tokens/address at",
       "meets a listener at 10.0.0.5:81"},
      {R"("10.0.0.4","port":80,"interface":"a")", R"("10.0.0.5","port":81)", R"("address":"10.0.0.4","port":80)",
       "/tokens/address at", "is the address and port of a listener"},
      {R"("10.0.0.4","port":80)", R"("0.0.0.0","port":81)", R"("address":"10.0.0.4","port":82)", ""},
      {R"("10.0.0.4","port":0)", R"("0.0.0.0","port":0)", R"("address":"10.0.0.4","port":0)", ""},
      {R"("0.0.0.0","port":80)", R"("10.0.0.5","port":81)", R"("address":"[::]","port":80)", "/tokens/address at",
       "is not an IPv4 address"},
      // Metrics.
      {R"("0.0.0.0","port":80)", R"("10.0.0.5","port":81)",
       R"("address":"10.0.0.4","port":82},"metricsListen":"127.0.0.1:80","limits":{)", "/metricsListen at",
       "meets a listener at 0.0.0.0:80"},
      {R"("127.0.0.2","port":80)", R"("10.0.0.5","port":81)",
       R"("address":"0.0.0.0","port":82},"metricsListen":"127.0.0.1:82","limits":{)", "/metricsListen at",
       "meets tokens at 0.0.0.0:82"},
      {R"("127.0.0.2","port":80)", R"("0.0.0.0","port":81)",
       R"("address":"0.0.0.0","port":82},"metricsListen":"127.0.0.1:80","limits":{)", ""}};
  for (const Row& row : rows) {
    const std::string text = fmt::format(
        R"({{"listeners":[{{"service":"imds","address":{}}},{{"service":"hostga","address":{}}}],{}"modelDirectory":"v"}})",
        row.first, row.second,
        row.more.empty() ? "" : fmt::format(R"("tokens":{{"issuer":"http://t",{}}},)", row.more));
    const auto config = parse_config(text, "host.json", "/etc/x");
    const std::string fault = config.ok() ? "" : config.error().text();
    EXPECT_EQ(fault.empty(), row.place.empty()) << text << fault;
    EXPECT_THAT(fault, HasSubstr(std::string(row.place))) << text;
    EXPECT_THAT(fault, HasSubstr(std::string(row.says))) << text;
    EXPECT_THAT(fault, HasSubstr(row.place.empty() ? "" : "1 problem\n")) << text;
  }
}

TEST(Config, TheNetworkOfAMachineIsTheInterfaceOfAListener) {
  const auto of = [](std::string_view network) {
    return fmt::format(
        R"({{"listeners":[{{"address":"127.0.0.1","port":1,"service":"imds","interface":"br-a"}},)"
        R"({{"address":"127.0.0.2","port":1,"service":"imds"}}],"virtualMachines":[{{"model":"m","network":{}}}]}})",
        network);
  };
  const auto config = parse_config(of(R"("br-a")"), "host.json", "/etc/x");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->virtual_machines[0].network, "br-a");
  for (const std::string_view bad : {R"("br-b")", R"("")", "7"}) {
    EXPECT_THAT(error_of(of(bad)), HasSubstr("/virtualMachines/0/network")) << bad;
  }
}

TEST(Config, MissingFileIsNamed) {
  auto config = load_config("/nowhere/host.json");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().text(), HasSubstr("/nowhere/host.json"));
}

TEST(Config, TheExampleIsGood) {
  auto config = load_config(MSP_SOURCE_DIR "/packaging/msp-host.example.json");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->listeners.size(), 3U);
}

TEST(Config, UpstreamIsForEachService) {
  const auto with = [](std::string_view upstream) {
    return fmt::format(R"({{"listeners":[{{"address":"127.0.0.1","port":8080,"service":"imds"}}],"modelDirectory":"vms",
                          "upstream":{}}})",
                       upstream);
  };
  auto config =
      parse_config(with(R"({"imds":{"address":"10.0.0.9","port":8775,"forwardedFor":true},"timeoutSeconds":5})"),
                   "host.json", "/etc/x");
  ASSERT_TRUE(config) << config.error().text();
  const UpstreamService* imds = config->upstream.of(Service::kImds);
  ASSERT_NE(imds, nullptr);
  EXPECT_EQ(to_string(imds->at), "10.0.0.9:8775");
  EXPECT_TRUE(imds->forwarded_for);
  EXPECT_EQ(config->upstream.of(Service::kWireServer), nullptr);
  EXPECT_EQ(config->upstream.timeout_seconds, 5U);
  EXPECT_EQ(config->limits.imds_per_second, 0U) << "the service behind has its own";
  EXPECT_EQ(config->limits.identity_per_second, 0U);
  EXPECT_THAT(error_of(with(R"({"imds":{"address":"nova","port":8775}})")), HasSubstr("/upstream/imds/address"));
  EXPECT_THAT(error_of(with(R"({"imds":{"address":"10.0.0.9","port":0}})")), HasSubstr("/upstream/imds/port"));
  EXPECT_THAT(error_of(with(R"({"nova":{}})")), HasSubstr("/upstream/nova"));
}

}  // namespace
}  // namespace msp::gateway
