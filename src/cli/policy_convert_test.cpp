// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/json.h"
#include "cli/policy_common.h"
#include "cli/test_files.h"

namespace msp::cli {
namespace {

using testing::HasSubstr;

const std::string kField = MSP_SOURCE_DIR "/share/openmsp/examples/waagent-cloud-init.field.json";
const std::string kProfile = "/subscriptions/S/providers/Microsoft.Compute/galleries/N/inVMAccessControlProfiles/P";

class PolicyConvert : public TestFiles {};

TEST_F(PolicyConvert, AProfileReadsAsTheRulesThatItWasMadeFrom) {
  const Outcome profile = policy({"convert", "--to", "profile", "--profile-id", kProfile, kField});
  ASSERT_EQ(profile.code, kExitOk) << profile.err;
  EXPECT_THAT(profile.out, HasSubstr("\"applicableHostEndpoint\": \"WireServer\""));
  EXPECT_THAT(profile.err, HasSubstr("note: the id \"example-imds-1\" becomes that of the resource"));
  const Outcome same = policy({"diff", kField, write("profile.json", profile.out)});
  EXPECT_EQ(same.code, kExitOk) << same.out;
}

TEST_F(PolicyConvert, WhatWouldBeLostIsRefusedUntilItIsMeant) {
  const std::vector<std::string> arguments{"convert", "--to", "local", "--service", "imds", kField};
  const Outcome refused = policy(arguments);
  EXPECT_EQ(refused.code, kExitUnusable);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("the mode \"enforce\""));
  std::vector<std::string> meant = arguments;
  meant.emplace_back("--lossy");
  const Outcome done = policy(meant);
  EXPECT_EQ(done.code, kExitOk);
  EXPECT_THAT(done.err, HasSubstr("lost: the mode \"enforce\""));
  EXPECT_EQ(policy({"lint", write("local.json", done.out)}).code, kExitOk);
}

TEST_F(PolicyConvert, ProgramsGetWhatWasLostToo) {
  const Outcome done = policy({"convert", "--json", "--lossy", "--to", "local", "--service", "imds", kField});
  const auto shown = json::parse(done.out);
  ASSERT_TRUE(shown) << done.out;
  EXPECT_EQ(shown->find("lost")->array()->size(), 1U);
  EXPECT_EQ(shown->at("/document/rules/privileges")->array()->size(), 5U);
}

}  // namespace
}  // namespace msp::cli
