// SPDX-License-Identifier: Apache-2.0
#include "gateway/imds_identity.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "gateway/imds.h"
#include "tests/support/host_request.h"

namespace msp::gateway {
namespace {

using test::ParsedRequest;
using test::RequestText;
using testing::HasSubstr;

constexpr std::string_view kModel = R"({"id":"/subscriptions/S/vm","name":"vm","identity":{"type":"UserAssigned",
  "tenantId":"t-1","userAssignedIdentities":{"/id/one":{"principalId":"p-1","clientId":"c-1"},
  "/id/two":{"principalId":"p-2","clientId":"c-2"}}},"properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff"}})";
constexpr std::string_view kToken =
    "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.example";

class IdentityTest : public testing::Test {
 protected:
  IdentityTest()
      : issuer_(std::move(*SigningKey::generate(SignatureAlgorithm::kEs256)), "https://issuer.example", 3600) {
    auto model = parse_model(kModel, "model");
    EXPECT_TRUE(model);
    auto vm = make_vm(std::move(*model), {});
    EXPECT_TRUE(vm) << vm.error().text();
    vm_.emplace(std::move(*vm));
  }
  Answer ask(std::string target, bool with_issuer = true) {
    RequestText text;
    text.target = std::move(target);
    text.header("Metadata", "true").header("host", "169.254.169.254");
    const ParsedRequest parsed(text);
    return answer_imds({.vm = *vm_,
                        .request = parsed.request(),
                        .state = state_,
                        .signers = {.issuer = with_issuer ? &issuer_ : nullptr, .documents = nullptr},
                        .now_ns = 1'700'000'000'000'000'000});
  }
  std::string body(const std::string& more) { return ask(std::string(kToken) + more).response.body(); }

  content::TokenIssuer issuer_;
  GuestState state_{0};
  std::optional<Vm> vm_;
};

TEST_F(IdentityTest, GivesATokenOfTheIdentityThatIsAskedFor) {
  for (const char* who : {"&client_id=c-2", "&object_id=p-2", "&msi_res_id=%2Fid%2Ftwo", "&mi_res_id=/ID/two"}) {
    const Answer answer = ask(std::string(kToken) + who);
    ASSERT_EQ(answer.response.status(), 200) << who << answer.response.body();
    EXPECT_THAT(answer.response.header_lines(), HasSubstr("no-store"));
    const auto tree = json::parse(answer.response.body());
    ASSERT_TRUE(tree);
    EXPECT_EQ(*tree->find("client_id")->string(), "c-2");
    EXPECT_EQ(*tree->find("resource")->string(), "https://vault.example");
    EXPECT_EQ(*tree->find("expires_in")->string(), "3600");
    EXPECT_EQ(*tree->find("expires_on")->string(), "1700003600");
    EXPECT_EQ(*tree->find("token_type")->string(), "Bearer");
  }
  EXPECT_THAT(ask("/metadata/identity/info?api-version=2018-02-01").response.body(), R"({"tenantId":"t-1"})");
}

TEST_F(IdentityTest, RefusesAsSdksKnowIt) {
  EXPECT_THAT(body("&client_id=c-9"),
              HasSubstr(R"({"error":"invalid_request","error_description":"Identity not found"})"));
  EXPECT_THAT(body(""), HasSubstr("Multiple user assigned identities"));
  EXPECT_THAT(body("&client_id=c-1&object_id=p-1"), HasSubstr("Only one of"));
  EXPECT_THAT(body("&msi_res_id=/id/one&mi_res_id=/id/one"), HasSubstr("Only one of"));
  EXPECT_THAT(body("&client_id=c-1&object_id="), HasSubstr("Only one of"));
  EXPECT_THAT(body("&client_id=c-1&client_id=c-1"), HasSubstr(R"("error":"invalid_request")"));
  const std::string path = "/metadata/identity/oauth2/token";
  EXPECT_THAT(ask(path + "?api-version=2018-02-01").response.body(), HasSubstr("'resource' is missing"));
  const std::string too_long(2049, 'a');
  for (const char* bad : {"", "a%20b", "%22", "%zz", "a%0ab", "%5c", "%c3%a9", too_long.c_str()}) {
    EXPECT_THAT(ask(path + "?api-version=2018-02-01&client_id=c-1&resource=" + bad).response.body(),
                HasSubstr("invalid_resource"))
        << bad;
  }
  EXPECT_THAT(ask(path + "?api-version=2017-12-01&resource=x").response.body(), HasSubstr("api-version"));
  EXPECT_THAT(ask(path + "?resource=x").response.body(), HasSubstr("api-version"));
  EXPECT_EQ(ask("/metadata/identity/else?api-version=2018-02-01").response.status(), 404);
  EXPECT_THAT(ask(std::string(kToken) + "&client_id=c-1", false).response.body(), HasSubstr("Identity not found"))
      << "the host issues no tokens";
}

TEST_F(IdentityTest, WhatAResourceMayBe) {
  const std::string longest(2048, 'a');
  for (const char* good : {"https://vault.example/", "api://6f9619ff-8b86-4d01-b42d-00cf4fc964ff/scope", "urn:x",
                           "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "service.example", "notauri", longest.c_str()}) {
    const Answer answer =
        ask(fmt::format("/metadata/identity/oauth2/token?api-version=2018-02-01&client_id=c-1&resource={}", good));
    ASSERT_EQ(answer.response.status(), 200) << good << answer.response.body();
    EXPECT_THAT(answer.response.body(), HasSubstr(fmt::format(R"("resource":"{}")", good)));
  }
}

TEST_F(IdentityTest, AChoiceThatSaysNothingIsNotTakenForNone) {
  auto model = parse_model(R"({"id":"/subscriptions/S/vm","name":"vm","identity":{"type":"SystemAssigned",
      "tenantId":"t-1","principalId":"p-0"},"properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff"}})",
                           "model");
  ASSERT_TRUE(model);
  auto vm = make_vm(std::move(*model), {});
  ASSERT_TRUE(vm);
  vm_.emplace(std::move(*vm));
  EXPECT_EQ(ask(std::string(kToken)).response.status(), 200);
  for (const char* choice :
       {"&client_id=", "&client_id", "&client_id=%zz", "&object_id=%4", "&msi_res_id=", "&mi_res_id=%"}) {
    const Answer answer = ask(std::string(kToken) + choice);
    EXPECT_EQ(answer.response.status(), 400) << choice;
    EXPECT_THAT(answer.response.body(), HasSubstr(R"("error":"invalid_request")")) << choice;
  }
}

TEST(IssuerKey, IsMadeOnceAndKeptForItsOwner) {
  std::string directory = testing::TempDir() + "issuer_XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const auto first = load_issuer_key(directory, SignatureAlgorithm::kEs256);
  ASSERT_TRUE(first) << first.error().text();
  const auto again = load_issuer_key(directory, SignatureAlgorithm::kEs256);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->thumbprint(), first->thumbprint());
  const std::string path = directory + "/issuer-es256.pem";
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  std::filesystem::permissions(path, std::filesystem::perms(0644));
  EXPECT_FALSE(load_issuer_key(directory, SignatureAlgorithm::kEs256)) << "others could read it";
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace msp::gateway
