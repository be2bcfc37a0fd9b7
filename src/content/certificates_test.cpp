// SPDX-License-Identifier: Apache-2.0
#include "content/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace msp::content {
namespace {

using testing::HasSubstr;

std::string fault(const Vault& vault, const std::string& url) {
  const auto model = json::parse(R"({"properties":{"osProfile":{"secrets":[{"vaultCertificates":[{"certificateUrl":")" +
                                 url + R"("}]}]}}})");
  EXPECT_TRUE(model);
  json::Problems problems({}, "model");
  const Certificates read = read_certificates(*model, vault, "", problems);
  EXPECT_TRUE(read.pkcs12.empty());
  return problems.empty() ? "" : problems.lines().front();
}

TEST(Certificates, AModelWithoutThemHasNone) {
  for (const char* text : {"{}", R"({"properties":{"osProfile":{"secrets":[]}}})", R"({"properties":null})"}) {
    const auto model = json::parse(text);
    json::Problems problems({}, "model");
    EXPECT_TRUE(read_certificates(*model, {}, "", problems).pkcs12.empty());
    EXPECT_TRUE(problems.empty());
  }
}

TEST(Certificates, WhatIsNotThereRefusesTheModel) {
  const std::string directory = testing::TempDir() + "vault";
  std::filesystem::create_directory(directory);
  std::ofstream(directory + "/open.pem") << "x";
  std::filesystem::permissions(directory + "/open.pem", std::filesystem::perms(0644));
  std::ofstream(directory + "/bad.pem") << "no certificate";
  std::filesystem::permissions(directory + "/bad.pem", std::filesystem::perms(0600));
  const Vault vault(directory);
  EXPECT_THAT(fault({}, "https://v/secrets/web/1"), HasSubstr("certificateDirectory"));
  EXPECT_THAT(fault(vault, "https://v/secrets/web/1"), HasSubstr("web.pem"));
  EXPECT_THAT(fault(vault, "https://v/secrets/open/1"), HasSubstr("open.pem")) << "others can read it";
  EXPECT_THAT(fault(vault, "https://v/secrets/bad"), HasSubstr("certificate"));
  for (const char* url :
       {"", "web", "https://v/keys/web", "https://v/secrets/", "https://v/secrets/../x", "https://v/secrets/a.b/1"}) {
    EXPECT_THAT(fault(vault, url), HasSubstr("/properties/osProfile/secrets/0/vaultCertificates/0/certificateUrl"))
        << url;
    EXPECT_THAT(fault(vault, url), HasSubstr("of the form")) << url;
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace msp::content
