// SPDX-License-Identifier: Apache-2.0
#include "gateway/wireserver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pugixml.hpp>

#include "gateway/hostga.h"
#include "tests/support/host_request.h"

namespace msp::gateway {
namespace {

using test::ParsedRequest;
using test::RequestText;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kVmId = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
constexpr std::string_view kModel =
    R"({"id":"/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/virtualMachines/v",
  "name":"vm<1>&","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff"},"resources":[
  {"type":"Microsoft.Compute/virtualMachines/extensions","properties":{"publisher":"Example","type":"Hello",
   "typeHandlerVersion":"1.0.0","settings":{"k":"<v>"}},"openmsp":{"manifest":"https://store.example/m.xml?a=1&b=2",
   "settingsSequence":3}},
  {"type":"Microsoft.Compute/virtualMachines/extensions","properties":{"publisher":"Not","type":"Named"}}]})";

class WireServerTest : public testing::Test {
 protected:
  void SetUp() override { load(kModel); }
  void load(std::string_view text) {
    auto model = parse_model(text, "model");
    ASSERT_TRUE(model) << model.error().text();
    auto vm = make_vm(std::move(*model), {});
    ASSERT_TRUE(vm) << vm.error().text();
    vm_.emplace(std::move(*vm));
  }
  Answer ask(Service service, std::string method, std::string target, std::string body = {},
             test::HeaderLines headers = {{"x-ms-version", "2012-11-30"}}) {
    RequestText text;
    text.method = std::move(method);
    text.target = std::move(target);
    text.headers = std::move(headers);
    text.body = std::move(body);
    text.header("host", "168.63.129.16");
    const ParsedRequest parsed(text);
    const Asked asked{.vm = *vm_, .request = parsed.request(), .state = state_, .signers = {}, .now_ns = 1};
    return service == Service::kHostGaPlugin ? answer_hostga(asked) : answer_wireserver(asked);
  }
  Answer wire(std::string method, std::string target, std::string body = {}) {
    return ask(Service::kWireServer, std::move(method), std::move(target), std::move(body));
  }
  Answer plugin(std::string method, std::string target, std::string body = {}, test::HeaderLines headers = {}) {
    return ask(Service::kHostGaPlugin, std::move(method), std::move(target), std::move(body), std::move(headers));
  }
  /// A URL of the goal state, without scheme and authority.
  static std::string target_in(const pugi::xml_document& goal, const char* name) {
    const std::string url = goal.child("GoalState")
                                .child("Container")
                                .child("RoleInstanceList")
                                .child("RoleInstance")
                                .child("Configuration")
                                .child(name)
                                .text()
                                .get();
    const auto at = url.find("/machine/");
    EXPECT_NE(at, std::string::npos) << name << ": " << url;
    return at == std::string::npos ? "/" : url.substr(at);
  }
  static void read(const Answer& answer, pugi::xml_document& into) {
    const std::string& body = answer.response.body();
    EXPECT_EQ(answer.response.status(), 200) << body;
    EXPECT_TRUE(into.load_buffer(body.data(), body.size())) << body;
  }
  static std::string health(std::string_view container, std::string_view state) {
    return std::string(
               "<?xml "
               "version=\"1.0\"?><Health><GoalStateIncarnation>1</GoalStateIncarnation><Container><ContainerId>") +
           std::string(container) + "</ContainerId><RoleInstanceList><Role><InstanceId>i</InstanceId><Health><State>" +
           std::string(state) +
           "</State><Details><SubStatus>Provisioning</SubStatus><Description>a &lt; b</Description></Details></Health>"
           "</Role></RoleInstanceList></Container></Health>";
  }

  std::optional<Vm> vm_;
  GuestState state_{1000};
  content::GuestReports& reports_ = state_.reports;
};

TEST_F(WireServerTest, AnswersVersions) {
  const Answer versions = wire("GET", "/?comp=versions");
  EXPECT_EQ(versions.response.status(), 200);
  EXPECT_THAT(versions.response.body(), HasSubstr("<Version>2012-11-30</Version>"));
  EXPECT_THAT(versions.response.header_lines(), HasSubstr("text/xml"));
  EXPECT_EQ(wire("GET", "/?other=1&Comp=versions").response.status(), 200);
  EXPECT_EQ(wire("POST", "/?comp=versions").response.status(), 405);
  EXPECT_EQ(wire("GET", "/?comp=version").response.status(), 404);
}

TEST_F(WireServerTest, GoalStateLeadsToItsDocuments) {
  pugi::xml_document goal;
  read(wire("GET", "/machine/?comp=goalstate"), goal);
  const pugi::xml_node container = goal.child("GoalState").child("Container");
  EXPECT_EQ(container.child("ContainerId").text().get(), kVmId);
  EXPECT_THAT(container.child("RoleInstanceList").child("RoleInstance").child("InstanceId").text().get(),
              testing::EndsWith("._vm-1--"));
  pugi::xml_document hosting;
  read(wire("GET", target_in(goal, "HostingEnvironmentConfig")), hosting);
  EXPECT_STREQ(hosting.child("HostingEnvironmentConfig").child("Role").attribute("name").value(), "vm-1--");
  pugi::xml_document shared;
  read(wire("GET", target_in(goal, "SharedConfig")), shared);
  EXPECT_TRUE(shared.child("SharedConfig").child("Deployment"));
  pugi::xml_document extensions;
  read(wire("GET", target_in(goal, "ExtensionsConfig")), extensions);
  const pugi::xml_node root = extensions.child("Extensions");
  const pugi::xml_node plugin = root.child("Plugins").child("Plugin");
  EXPECT_STREQ(plugin.attribute("name").value(), "Example.Hello");
  EXPECT_STREQ(plugin.attribute("location").value(), "https://store.example/m.xml?a=1&b=2");
  EXPECT_FALSE(plugin.next_sibling()) << "no manifest is named for the other one";
  EXPECT_THAT(root.child("PluginSettings").child("Plugin").child("RuntimeSettings").text().get(),
              HasSubstr(R"("publicSettings":{"k":"<v>"})"));
  EXPECT_THAT(root.child("StatusUploadBlob").text().get(), HasSubstr(std::string("/status/") + std::string(kVmId)));
}

TEST_F(WireServerTest, AnotherModelIsAnotherIncarnationAndTheSameModelTheSame) {
  const std::string before = vm_->content.goal_state.incarnation;
  const std::string tag = vm_->content.vm_settings_tag;
  load(kModel);
  EXPECT_EQ(vm_->content.goal_state.incarnation, before);
  EXPECT_EQ(vm_->content.vm_settings_tag, tag);
  std::string changed(kModel);
  changed.replace(changed.find("\"settingsSequence\":3"), 20, "\"settingsSequence\":4");
  load(changed);
  EXPECT_NE(vm_->content.goal_state.incarnation, before);
  EXPECT_NE(vm_->content.vm_settings_tag, tag);
}

TEST_F(WireServerTest, ACertificateThatWasRenewedIsAnotherIncarnation) {
  const json::Value model = *json::parse(kModel);
  const auto incarnation = [&](std::string_view certificates) {
    return content::make_goal_state(model, "vm", "name", {}, certificates).incarnation;
  };
  EXPECT_EQ(incarnation("aa"), incarnation("aa"));
  EXPECT_NE(incarnation("aa"), incarnation("ab")) << "agents fetch what has another incarnation only";
}

TEST_F(WireServerTest, RefusesWhatIsNotOfThisGoalState) {
  const content::GoalState& goal = vm_->content.goal_state;
  const std::string here = "/machine/" + goal.container_id + "/" + goal.instance_id;
  const std::string good = here + "?comp=config&type=sharedConfig&incarnation=" + goal.incarnation;
  EXPECT_EQ(wire("GET", good).response.status(), 200);
  EXPECT_EQ(wire("GET", good + "0").reason, Reason::kStaleGoalState);
  EXPECT_EQ(wire("GET", "/machine/5f1c6f5e-0000-4a52-8a3b-0d8b7f1f6c01/" + goal.instance_id + good.substr(here.size()))
                .reason,
            Reason::kStaleGoalState);
  EXPECT_EQ(wire("GET", here + "?comp=config&type=fullConfig&incarnation=" + goal.incarnation).reason,
            Reason::kNotFound);
  EXPECT_EQ(wire("GET", here + "?comp=certificates&incarnation=" + goal.incarnation).reason, Reason::kNotFound);
  EXPECT_EQ(ask(Service::kWireServer, "GET", good, {}, {}).reason, Reason::kVersionHeaderMissing);
  EXPECT_EQ(ask(Service::kWireServer, "GET", "/machine?comp=goalstate", {}, {}).reason, Reason::kVersionHeaderMissing);
  EXPECT_EQ(wire("PUT", good).reason, Reason::kMethodNotAllowed);
  EXPECT_EQ(wire("GET", "/machine?comp=other").reason, Reason::kNotFound);
  EXPECT_EQ(wire("GET", "/machineX?comp=goalstate").reason, Reason::kNotFound);
}

/// Of an RSA key of 2048 bits that nobody has.
constexpr std::string_view kTransportCertificate =
    "MIIC+TCCAeGgAwIBAgIUbNrg0x0OzhtDF2UDYJo7QftK56gwDQYJKoZIhvcNAQELBQAwDDEKMAgGA1UEAwwBdDAeFw0yNjExMjkw"
    "OTA4NDFaFw0zNjExMjYwOTA4NDFaMAwxCjAIBgNVBAMMAXQwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQDbXYevaEDE"
    "OPulUu3VX8qTI9n5Y/EDxLoezsf1a9EnAFpOuazkkIQ3GPVu9z5IhdhW76rsLyjuuUiXJCJlXOu5/qapu1yaGO7dnTJXlKjmNqME"
    "A29YayKhsDSSqOxseGqmmVT29FSjPa+w8tEborTq/KV4mmg/zcKAvTDJq/GH+6HYGEDEdZR85h2E0cfKCLINZy1xg9wZxSn90ZKT"
    "EA/iRq6OeKXFXMhB9ruytupjpXHS7vkCtVbitAd4XDlM5TzejbXxtbQ0BgG9NH+nGIroTQ1/XUsIIFNke52qDc5S6DgZ9LquCdyf"
    "VxcSM/SK7dZzRd4u9LbE8hPkerQKG6jRAgMBAAGjUzBRMB0GA1UdDgQWBBRyz4XBEK9BbOnczDT6pG+7BvT0MDAfBgNVHSMEGDAW"
    "gBRyz4XBEK9BbOnczDT6pG+7BvT0MDAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQBK8Onhn3ei3nQnE3XEpNSl"
    "OSWXKdEGmPFEF59xNGIQGRqO2s4BdpxcwZzQrOjPOCCRvqov0GHvtZT7pPGGHMdr+OFN6IMH+oZQG1wzOsmZN1cOkRvhCb0qmKdZ"
    "KMfv2eZnsFTSO0Ia3PNI5IXOtSNvfwMtZkI38qJ9tDKKYlIX/KRR/ozQ9TgT+hfCVHJi0ufmrYTt/OF+rD4dT27zcKTgtp2l/A5N"
    "ztox7vOyciyF+BYWQMUXut86ZzoH7n+Qi8d4BadeK2qMymcjdVJhTbW7viX5vX1Y96Rp5Aybu5Abfpy4R2oeRpqGYlSSPk6pub1K"
    "fmYCvOYtm61BtVLkpzmY";

TEST_F(WireServerTest, CertificatesAreEncryptedAsTheClientAsks) {
  const content::GoalState& goal = vm_->content.goal_state;
  vm_->content.certificates = Secret::copy_of(std::string_view("the bag"));
  const std::string target =
      "/machine/" + goal.container_id + "/" + goal.instance_id + "?comp=certificates&incarnation=" + goal.incarnation;
  const auto answer = [&](std::string_view cipher) {
    test::HeaderLines headers = {{"x-ms-version", "2012-11-30"},
                                 {"x-ms-guest-agent-public-x509-cert", std::string(kTransportCertificate)}};
    if (!cipher.empty()) {
      headers.emplace_back("x-ms-cipher-name", cipher);
    }
    return ask(Service::kWireServer, "GET", target, {}, std::move(headers));
  };
  // DER of the object identifiers (RFC 8018 B.2.2, NIST CSOR).
  const std::string triple_des("\x06\x08\x2a\x86\x48\x86\xf7\x0d\x03\x07", 10);
  const std::string aes("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01", 10);
  for (const auto& [asked, named] :
       std::initializer_list<std::pair<std::string_view, std::string>>{{"", triple_des},
                                                                       {"DES_EDE3_CBC", triple_des},
                                                                       {"AES128_CBC", aes + '\x02'},
                                                                       {"AES256_CBC", aes + '\x2a'}}) {
    pugi::xml_document document;
    read(answer(asked), document);
    std::string lines = document.child("CertificateFile").child("Data").text().get();
    std::erase(lines, '\n');
    const auto der = base64_decode(lines);
    ASSERT_TRUE(der) << asked;
    EXPECT_NE(std::string(der->begin(), der->end()).find(named), std::string::npos) << asked;
    EXPECT_EQ(std::string(der->begin(), der->end()).find("the bag"), std::string::npos);
  }
  EXPECT_EQ(answer("AES192_CBC").reason, Reason::kBadCertificate);
}

TEST_F(WireServerTest, KeepsTheHealthReport) {
  RequestText text;
  EXPECT_EQ(ask(Service::kWireServer, "POST", "/machine?comp=health", health(kVmId, "Ready"),
                {{"user-agent", "WALinuxAgent/2.7.3.0 more"}})
                .response.status(),
            200);
  const content::GuestReport* kept = reports_.find(std::string(kVmId));
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->health.state, "Ready");
  EXPECT_EQ(kept->health.sub_status, "Provisioning");
  EXPECT_EQ(kept->health.description, "a < b");
  EXPECT_EQ(kept->health_by, "WALinuxAgent/2.7.3.0");
}

TEST_F(WireServerTest, RefusesHealthThatIsNone) {
  const std::string_view other = "5f1c6f5e-9d61-4a52-8a3b-0d8b7f1f6c01";
  EXPECT_EQ(wire("POST", "/machine?comp=health", health(other, "Ready")).reason, Reason::kStaleGoalState);
  EXPECT_EQ(wire("POST", "/machine?comp=health", health(kVmId, "Fine")).reason, Reason::kBadReport);
  EXPECT_EQ(wire("POST", "/machine?comp=health", "<Health>").reason, Reason::kBadReport);
  EXPECT_EQ(wire("POST", "/machine?comp=health").reason, Reason::kBadReport);
  std::string deep;
  for (int i = 0; i < 20'000; ++i) {
    deep += "<a>";
  }
  EXPECT_EQ(wire("POST", "/machine?comp=health", deep).reason, Reason::kBadReport);
  // Entities that somebody declares are not expanded.
  std::string bomb = health(kVmId, "&e;");
  bomb.insert(bomb.find("<Health>"), R"(<!DOCTYPE Health [<!ENTITY e "Ready">]>)");
  EXPECT_EQ(wire("POST", "/machine?comp=health", bomb).reason, Reason::kBadReport);
  EXPECT_EQ(reports_.find(std::string(kVmId)), nullptr);
}

TEST_F(WireServerTest, TakesAndCountsTheOtherReports) {
  EXPECT_EQ(wire("POST", "/machine?comp=telemetrydata", "<x/>").response.status(), 200);
  EXPECT_EQ(wire("POST", "/MACHINE/?comp=TelemetryData").response.status(), 200);
  EXPECT_EQ(wire("POST", "/machine?comp=roleProperties").response.status(), 202);
  EXPECT_EQ(wire("POST", "/machine?comp=else").response.status(), 404);
  EXPECT_EQ(wire("POST", "/HealthService", "{}").response.status(), 200);
  EXPECT_EQ(wire("GET", "/HealthService").response.status(), 405);
  const content::GuestReport* kept = reports_.find(std::string(kVmId));
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->telemetry.requests, 2U);
  EXPECT_EQ(kept->observations.requests, 1U);
}

TEST_F(WireServerTest, PluginHasSettingsWithATag) {
  EXPECT_EQ(plugin("GET", "/versions").response.body(), R"(["2015-09-01"])");
  EXPECT_EQ(plugin("GET", "/health").response.status(), 200);
  const Answer whole = plugin("GET", "/vmSettings", {}, {{"x-ms-containerid", std::string(kVmId)}});
  ASSERT_EQ(whole.response.status(), 200);
  EXPECT_THAT(whole.response.header_lines(), HasSubstr("etag: " + vm_->content.vm_settings_tag + "\r\n"));
  const auto tree = json::parse(whole.response.body());
  ASSERT_TRUE(tree);
  EXPECT_EQ(*tree->at("/extensionGoalStates/0/settings/0/publicSettings")->string(), R"({"k":"<v>"})");
  EXPECT_EQ(tree->at("/extensionGoalStates/0/settingsSeqNo")->int64(), 3);
  const Answer same = plugin("GET", "/vmSettings", {}, {{"if-none-match", vm_->content.vm_settings_tag}});
  EXPECT_EQ(same.response.status(), 304);
  EXPECT_EQ(same.response.body(), "");
  EXPECT_EQ(plugin("GET", "/vmSettings", {}, {{"if-none-match", "1"}}).response.status(), 200);
  EXPECT_EQ(plugin("GET", "/vmSettings", {}, {{"x-ms-containerid", "other"}}).response.status(), 410);
  EXPECT_EQ(plugin("GET", "/extensionArtifact").reason, Reason::kNotFound);
}

TEST_F(WireServerTest, PluginKeepsTheStatus) {
  const std::string document = R"({"aggregateStatus":{"guestAgentStatus":{"status":"Ready","version":"2.7.3.0"}}})";
  const std::string upload =
      R"({"requestUri":"u","headers":[],"content":")" + base64_encode(as_bytes(document)) + "\"}";
  EXPECT_EQ(plugin("PUT", "/status", upload).response.status(), 200);
  const content::GuestReport* kept = reports_.find(std::string(kVmId));
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->status.state, "Ready");
  EXPECT_EQ(kept->status.document, document);
  EXPECT_EQ(plugin("PUT", "/status/" + std::string(kVmId), document + "  ").response.status(), 201);
  EXPECT_EQ(kept->status.document, document);
  EXPECT_EQ(plugin("PUT", "/status", R"({"requestUri":"u","headers":[]})").response.status(), 200);
  EXPECT_EQ(kept->status.document, document) << "the first step of a page blob has no content";
  for (const char* bad : {"", "{", R"({"content":"*"})", R"({"content":"e30="})", R"({"content":1})"}) {
    EXPECT_EQ(plugin("PUT", "/status", bad).reason, Reason::kBadReport) << bad;
  }
  EXPECT_EQ(plugin("PUT", "/status/other", document).reason, Reason::kNotFound);
  EXPECT_EQ(plugin("GET", "/status").reason, Reason::kMethodNotAllowed);
}

TEST_F(WireServerTest, PluginCountsLogs) {
  EXPECT_EQ(plugin("PUT", "/vmAgentLog").response.status(), 200);
  EXPECT_EQ(plugin("GET", "/vmAgentLog").response.status(), 404);
  const Answer wrong = plugin("PUT", "/vmAgentLog", {}, {{"x-ms-containerid", "other"}});
  EXPECT_EQ(wrong.response.status(), 400);
  EXPECT_THAT(wrong.response.body(), HasSubstr("InvalidContainerConfiguration"));
  EXPECT_EQ(reports_.find(std::string(kVmId))->logs.requests, 1U);
}

TEST(WireServer, ExemptionsHoldAtTheirOwnService) {
  const auto exempt = [](Service service, std::string method, std::string target) {
    RequestText text;
    text.method = std::move(method);
    text.target = std::move(target);
    const ParsedRequest parsed(text);
    return is_exempt(service, parsed.request());
  };
  EXPECT_TRUE(exempt(Service::kHostGaPlugin, "PUT", "/vmAgentLog"));
  EXPECT_TRUE(exempt(Service::kWireServer, "POST", "/machine/?comp=telemetrydata"));
  EXPECT_FALSE(exempt(Service::kWireServer, "PUT", "/vmAgentLog"));
  EXPECT_FALSE(exempt(Service::kHostGaPlugin, "POST", "/machine/?comp=telemetrydata"));
  EXPECT_FALSE(exempt(Service::kImds, "PUT", "/vmAgentLog"));
  EXPECT_FALSE(exempt(Service::kHostGaPlugin, "POST", "/vmAgentLog"));
  EXPECT_FALSE(exempt(Service::kHostGaPlugin, "PUT", "/vmAgentLog?"));
  EXPECT_FALSE(exempt(Service::kHostGaPlugin, "PUT", "/vmAgentLog?x=1"));
}

}  // namespace
}  // namespace msp::gateway
