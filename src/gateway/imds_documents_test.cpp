// SPDX-License-Identifier: Apache-2.0
#include "gateway/imds_documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <tuple>

#include "gateway/imds.h"
#include "tests/support/host_request.h"

namespace msp::gateway {
namespace {

using test::ParsedRequest;
using test::RequestText;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kModel = R"({"name":"vm","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
  "networkProfile":{"networkInterfaces":[{"properties":{"ipConfigurations":[{"properties":{"privateIPAddress":"10.0.0.4",
  "publicIPAddress":{"properties":{"ipAddress":"192.0.2.1"}}}}]}}]}},"openmsp":{"loadBalancer":{"inboundRules":[
  {"frontendIpAddress":"192.0.2.2","protocol":"tcp","frontendPort":80,"backendPort":8080,"privateIpAddress":"10.0.0.4"}]}}})";

class DocumentsTest : public testing::Test {
 protected:
  DocumentsTest() : signer_(std::move(*DocumentSigner::from_pem(*DocumentSigner::make_pem("test.invalid")))) {
    load(kModel);
  }
  void load(std::string_view text) {
    auto model = parse_model(text, "model");
    ASSERT_TRUE(model);
    auto vm = make_vm(std::move(*model), {});
    ASSERT_TRUE(vm) << vm.error().text();
    vm_.emplace(std::move(*vm));
  }
  Answer ask(std::string target, std::string method = "GET", std::string body = {}) {
    RequestText text;
    text.method = std::move(method);
    text.target = std::move(target);
    text.body = std::move(body);
    text.header("Metadata", "true").header("host", "169.254.169.254");
    const ParsedRequest parsed(text);
    return answer_imds({.vm = *vm_,
                        .request = parsed.request(),
                        .state = state_,
                        .signers = {.issuer = nullptr, .documents = &signer_},
                        .now_ns = 1'700'000'000'000'000'000});
  }
  std::string events(const std::string& version) {
    return ask("/metadata/scheduledevents?api-version=" + version).response.body();
  }
  std::string schedule(const char* type, std::int64_t not_before) {
    content::ScheduledEvent event;
    event.type = type;
    event.source = "User";
    event.description = "why";
    event.not_before = not_before;
    return *state_.events.add(vm_->model.vm_id, event);
  }
  int approve(const std::string& body) {
    return ask("/metadata/scheduledevents?api-version=2020-07-01", "POST", body).response.status();
  }

  DocumentSigner signer_;
  GuestState state_{0};
  std::optional<Vm> vm_;
};

TEST_F(DocumentsTest, EventsAreShownAsEachVersionKnowsThem) {
  EXPECT_EQ(events("2020-07-01"), R"({"DocumentIncarnation":1,"Events":[]})");
  const std::string id = schedule("Reboot", 1'700'000'900);
  schedule("Terminate", 1'700'000'900);
  EXPECT_THAT(events("2020-07-01"),
              HasSubstr(R"({"EventId":")" + id +
                        R"(","EventStatus":"Scheduled","EventType":"Reboot","ResourceType":"VirtualMachine",)"
                        R"("Resources":["vm"],"NotBefore":"Tue, 14 Nov 2023 22:28:20 GMT","Description":"why",)"
                        R"("EventSource":"User","DurationInSeconds":-1})"));
  const std::tuple<const char*, const char*, const char*> rows[] = {{"Description", "2019-01-01", "2019-04-01"},
                                                                    {"EventSource", "2019-04-01", "2019-08-01"},
                                                                    {"DurationInSeconds", "2019-08-01", "2020-07-01"}};
  for (const auto& [member, before, since] : rows) {
    EXPECT_THAT(events(before), Not(HasSubstr(member)));
    EXPECT_THAT(events(since), HasSubstr(member));
  }
  EXPECT_THAT(events("2017-11-01"), Not(HasSubstr("Terminate")));
  EXPECT_THAT(events("2019-01-01"), HasSubstr("Terminate"));
  EXPECT_THAT(events("2021-01-01"), HasSubstr(R"("newest-versions":["2020-07-01","2019-08-01","2019-04-01"])"));
  EXPECT_EQ(ask("/metadata/scheduledevents?api-version=2020-07-01", "PUT").response.status(), 405);
}

TEST_F(DocumentsTest, AGuestApprovesWhatIsThere) {
  const std::string id = schedule("Reboot", 1'700'000'900);
  for (const char* bad :
       {"", "{}", "[]", R"({"StartRequests":{}})", R"({"StartRequests":[]})", R"({"StartRequests":[{}]})",
        R"({"StartRequests":[{"EventId":1}]})", R"({"StartRequests":[{"EventId":"none"}]})"}) {
    EXPECT_EQ(approve(bad), 400) << bad;
  }
  EXPECT_EQ(approve(R"({"StartRequests":[{"EventId":")" + id + R"("},{"EventId":"none"}]})"), 400);
  EXPECT_THAT(events("2020-07-01"), HasSubstr("Scheduled"));
  EXPECT_EQ(approve(R"({"StartRequests":[{"EventId":")" + id + R"("}]})"), 200);
  EXPECT_THAT(events("2020-07-01"), HasSubstr(R"("EventStatus":"Started")"));
  EXPECT_THAT(events("2020-07-01"), HasSubstr(R"("NotBefore":"")"));
}

TEST_F(DocumentsTest, TheAttestedDocumentIsSigned) {
  const Answer answer = ask("/metadata/attested/document?api-version=2020-09-01&nonce=1234567890");
  ASSERT_EQ(answer.response.status(), 200);
  const auto tree = json::parse(answer.response.body());
  ASSERT_TRUE(tree);
  EXPECT_EQ(*tree->find("encoding")->string(), "pkcs7");
  const auto der = base64_decode(*tree->find("signature")->string());
  ASSERT_TRUE(der);
  // That it verifies, openssl says: tests/netns/test_imds.py.
  const std::string text(der->begin(), der->end());
  EXPECT_THAT(text, HasSubstr(R"("nonce":"1234567890")"));
  EXPECT_THAT(text, HasSubstr(R"("createdOn":"11/14/23 22:13:20 -0000","expiresOn":"11/15/23 04:13:20 -0000")"));
  EXPECT_THAT(text, HasSubstr(R"("vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff")"));
  for (const char* bad : {"a%20b", "a-b", "%zz", "123456789012345678901234567890123"}) {
    EXPECT_EQ(ask("/metadata/attested/document?api-version=2020-09-01&nonce=" + std::string(bad)).response.status(),
              400)
        << bad;
  }
  EXPECT_EQ(ask("/metadata/attested/document?api-version=2020-09-01").response.status(), 200);
  EXPECT_EQ(ask("/metadata/attested/document?api-version=2018-04-02").response.status(), 400);
  EXPECT_EQ(ask("/metadata/attested/document").response.status(), 400);
}

TEST_F(DocumentsTest, TheLoadBalancerIsTheModels) {
  const std::string target = "/metadata/loadbalancer?api-version=2020-10-01";
  EXPECT_EQ(ask(target).response.body(),
            R"({"loadbalancer":{"publicIpAddresses":[{"frontendIpAddress":"192.0.2.1","privateIpAddress":"10.0.0.4"}],)"
            R"("inboundRules":[{"frontendIpAddress":"192.0.2.2","protocol":"tcp","frontendPort":80,"backendPort":8080,)"
            R"("privateIpAddress":"10.0.0.4"}],"outboundRules":[]}})");
  EXPECT_EQ(ask("/metadata/loadbalancer?api-version=2020-09-01").response.status(), 400);
  load(R"({"name":"vm","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff"}})");
  EXPECT_EQ(ask(target).response.status(), 404);
  load(R"({"name":"vm","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff","networkProfile":{
    "networkInterfaces":[{"properties":{"ipConfigurations":[{"properties":{"privateIPAddress":"10.0.0.4"}}]}}]}}})");
  EXPECT_EQ(ask(target).response.status(), 404) << "a private address alone is behind no load balancer";
}

TEST(DocumentSignerFile, IsMadeOnceOrTheOperators) {
  std::string directory = testing::TempDir() + "signer_XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  EXPECT_TRUE(load_document_signer(directory, {}));
  const std::string path = directory + "/attested.pem";
  const auto written = std::filesystem::last_write_time(path);
  EXPECT_TRUE(load_document_signer(directory, {}));
  EXPECT_EQ(std::filesystem::last_write_time(path), written);
  EXPECT_TRUE(load_document_signer("/nonexistent", path));
  EXPECT_FALSE(load_document_signer(directory, directory + "/none.pem")) << "an operator's file is never made";
  std::filesystem::permissions(path, std::filesystem::perms(0644));
  EXPECT_FALSE(load_document_signer(directory, {})) << "others could read it";
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace msp::gateway
