// SPDX-License-Identifier: Apache-2.0
#include "rules/dump.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"

namespace msp::rules {
namespace {

RuleItem item_of(std::string_view text) { return *parse_rule_item(text, Source::kConfig); }

std::string dump(const RuleItem& imds) {
  EffectiveItems items;
  items[0] = imds;
  policy::Snapshot rules;
  rules.rules[0] = policy::RuleSet::compile(imds, policy::Matching::kEnforce);
  return dump_text(items, rules);
}

constexpr std::string_view kItem = R"({"defaultAccess":"allow","mode":"enforce","id":"rules-v7","rules":{
  "privileges":[{"name":"token","path":"/metadata/identity/oauth2/token","queryParameters":{"resource":"https://vault.example/"}},
                {"name":"other","path":"/metadata/instance"}],
  "roles":[{"name":"reader","privileges":["token","nowhere"]},{"name":"refused","privileges":["other"]}],
  "identities":[{"name":"app","userName":"svc-app","exePath":"/opt/app/bin/app"}],
  "roleAssignments":[{"role":"reader","identities":["app","nobody"]},{"role":"missing","identities":["app"]},
                     {"role":"refused","identities":["app"],"openmsp":{"effect":"deny"}}]}})";

TEST(Dump, HasTheFieldsForm) {
  const std::string text = dump(item_of(kItem));
  const auto tree = json::parse(text, {});
  ASSERT_TRUE(tree.ok()) << text;
  EXPECT_EQ(json::to_text(*tree->at("/computedRules")),
            R"({"imds":{"id":"rules-v7","defaultAllowed":true,"mode":"Enforce",)"
            R"("privileges":{"other":{"name":"other","path":"/metadata/instance"},"token":{"name":"token",)"
            R"("path":"/metadata/identity/oauth2/token","queryParameters":{"resource":"https://vault.example/"}}},)"
            R"("privilegeAssignments":{"token":["app"]},)"
            R"("identities":{"app":{"name":"app","userName":"svc-app","exePath":"/opt/app/bin/app"}}}})");
  const auto input = parse_rule_item(json::to_text(*tree->at("/inputRules/imds")), Source::kConfig);
  ASSERT_TRUE(input.ok());
  EXPECT_EQ(*input, item_of(kItem)) << "as given, the deny included";
  EXPECT_EQ(tree->at("/inputRules/wireserver"), nullptr);
}

TEST(Dump, WhatDecidesNothingIsNotComputed) {
  const auto missing =
      json::parse(dump(item_of(R"({"defaultAccess":"deny","mode":"audit","id":"x","rules":{"privileges":[
      {"name":"p","path":"/"}],"roles":[],"identities":[]}})")),
                  {});
  EXPECT_EQ(
      json::to_text(*missing->at("/computedRules/imds")),
      R"({"id":"x","defaultAllowed":false,"mode":"Audit","privileges":{},"privilegeAssignments":{},"identities":{}})");
}

TEST(Dump, FiveFilesStay) {
  std::string folder = testing::TempDir() + "dump_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  constexpr std::int64_t kSecond = 1'000'000'000;
  ASSERT_TRUE(file::replace(folder + "/status.json", "{}").ok());
  for (std::int64_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(write_dump(folder, std::to_string(i), 1'745'409'600 * kSecond + i * kSecond).ok());
  }
  const auto names = file::list(folder);
  ASSERT_EQ(names->size(), kMostDumps + 1);
  EXPECT_EQ(names->front(), "AuthorizationRules_2025-04-23T12.00.03.000-1745409603000000000.json");
  EXPECT_EQ(*file::read(folder + "/" + (*names)[kMostDumps - 1], {}), "7");
  struct stat st{};
  ASSERT_EQ(::stat((folder + "/" + names->front()).c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0640U);
  EXPECT_FALSE(write_dump(folder + "/none", "x", kSecond).ok());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace msp::rules
