// SPDX-License-Identifier: Apache-2.0
#include "content/identities.h"

#include <gtest/gtest.h>

namespace msp::content {
namespace {

constexpr std::string_view kSystem = R"("principalId":"p-system","tenantId":"t")";
constexpr std::string_view kUsers =
    R"("userAssignedIdentities":{"/id/One":{"principalId":"p-1","clientId":"c-1"},"/id/two":{}})";

Identities read(const std::string& identity) {
  const auto model = json::parse(R"({"id":"/vm","identity":)" + identity + "}");
  EXPECT_TRUE(model);
  json::Problems problems({}, "model");
  Identities out = read_identities(*model, "vm-id", "", problems);
  EXPECT_TRUE(problems.empty()) << problems.lines().front();
  return out;
}

const Identity* one(const std::variant<const Identity*, NoIdentity>& chosen) {
  const auto* found = std::get_if<const Identity*>(&chosen);
  return found == nullptr ? nullptr : *found;
}

TEST(Identities, AreThoseOfTheModel) {
  const Identities both =
      read(R"({"type":"SystemAssigned, UserAssigned",)" + std::string(kSystem) + "," + std::string(kUsers) + "}");
  ASSERT_EQ(both.all.size(), 3U);
  EXPECT_EQ(both.tenant_id, "t");
  EXPECT_TRUE(both.all[0].system);
  EXPECT_EQ(both.all[0].resource_id, "/vm");
  EXPECT_EQ(both.all[1].client_id, "c-1");
  EXPECT_EQ(both.all[2].client_id.size(), 36U) << "a template has no ids yet: they are made";
  EXPECT_EQ(read(R"({"type":"None"})").all.size(), 0U);
  EXPECT_EQ(read("null").all.size(), 0U);
}

TEST(Identities, ARequestMeansOneOfThem) {
  const Identities both =
      read(R"({"type":"SystemAssigned, UserAssigned",)" + std::string(kSystem) + "," + std::string(kUsers) + "}");
  EXPECT_EQ(one(choose(both, {})), &both.all[0]) << "the system's, if nothing is said";
  EXPECT_EQ(one(choose(both, {.by = IdentityBy::kClientId, .value = "C-1"})), &both.all[1]);
  EXPECT_EQ(one(choose(both, {.by = IdentityBy::kObjectId, .value = "p-1"})), &both.all[1]);
  EXPECT_EQ(one(choose(both, {.by = IdentityBy::kResourceId, .value = "/ID/one"})), &both.all[1]);
  EXPECT_EQ(one(choose(both, {.by = IdentityBy::kResourceId, .value = "/vm"})), nullptr);
  for (const std::string_view none : {"x", "p-1", ""}) {
    EXPECT_EQ(std::get<NoIdentity>(choose(both, {.by = IdentityBy::kClientId, .value = none})), NoIdentity::kNone);
  }
  const Identities users = read(R"({"type":"UserAssigned",)" + std::string(kUsers) + "}");
  EXPECT_EQ(std::get<NoIdentity>(choose(users, {})), NoIdentity::kAmbiguous);
  EXPECT_EQ(std::get<NoIdentity>(choose({}, {})), NoIdentity::kNone);
}

}  // namespace
}  // namespace msp::content
