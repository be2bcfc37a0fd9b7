// SPDX-License-Identifier: Apache-2.0
#include "authoring/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "authoring/diff.h"
#include "policy/fold.h"
#include "tests/support/random_rules.h"
#include "tests/support/rapidcheck.h"

namespace msp::authoring {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kProfile = "/subscriptions/S/providers/Microsoft.Compute/galleries/N/inVMAccessControlProfiles/P";
const std::string kRules = R"("rules":{"privileges":[{"name":"p","path":"/a","why":"asked for"}],
  "roles":[{"name":"r","privileges":["p"]}],"identities":[{"name":"i","userName":"u"}],
  "roleAssignments":[{"role":"r","identities":["i"]}]})";
const std::string kItem = R"({"owner":"team","defaultAccess":"deny","mode":"audit","id":"v1",)" + kRules + "}";

Result<Conversion> converted(const std::string& text, const ConvertOptions& options) {
  const auto parsed = RuleText::parse(text, "r.json");
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().text());
  const auto source = read_rules(*parsed);
  EXPECT_TRUE(source) << (source ? "" : source.error().text());
  return convert(*parsed, *source, options);
}

Conversion good(const std::string& text, const ConvertOptions& options) {
  auto done = converted(text, options);
  EXPECT_TRUE(done) << (done ? "" : done.error().text());
  return done ? *std::move(done) : Conversion();
}

std::string text_at(const Conversion& done, std::string_view pointer) {
  const json::Value* const value = done.document.at(pointer);
  return value == nullptr || value->string() == nullptr ? "(nothing)" : *value->string();
}

TEST(Convert, AProfileNamesItsEndpointAndKeepsWhatNobodyKnows) {
  const ConvertOptions options{
      .to = ConvertTo::kProfile, .service = Service::kWireServer, .mode = {}, .profile_id = kProfile};
  const Conversion done = good(kItem, options);
  EXPECT_EQ(text_at(done, "/value/0/properties/applicableHostEndpoint"), "WireServer");
  EXPECT_EQ(text_at(done, "/value/1/id"), kProfile + "/versions/1.0.0");
  EXPECT_EQ(text_at(done, "/value/1/properties/mode"), "Audit");
  EXPECT_EQ(text_at(done, "/value/1/properties/defaultAccess"), "Deny");
  EXPECT_EQ(text_at(done, "/value/1/properties/owner"), "team");
  EXPECT_EQ(text_at(done, "/value/1/properties/rules/privileges/0/why"), "asked for");
  EXPECT_THAT(done.lost, IsEmpty());
  EXPECT_THAT(done.notes, ElementsAre(HasSubstr("the id \"v1\" becomes that of the resource")));

  ConvertOptions nobody = options;
  nobody.service.reset();
  EXPECT_THAT(converted(kItem, nobody).error().text(), HasSubstr("--service"));
  ConvertOptions nameless = options;
  nameless.profile_id.clear();
  EXPECT_THAT(converted(kItem, nameless).error().text(), HasSubstr("--profile-id"));
}

/// A profile and its version, in the case that a gallery has, with members that no rule has.
std::string resources_of(const std::string& name, const std::string& endpoint, const std::string& os) {
  const std::string id = R"({"id":"/s/S/galleries/N/inVMAccessControlProfiles/)" + name;
  return id + R"(","name":")" + name + R"(","location":"eastus","tags":{"a":"b"},"properties":{"osType":")" + os +
         R"(","applicableHostEndpoint":")" + endpoint + R"(","provisioningState":"Succeeded","zz":1}},)" + id +
         R"(/versions/1.10.0","name":"1.10.0","etag":"e","properties":{"mode":"Enforce","defaultAccess":"Deny",)" +
         R"("excludeFromLatest":false,"targetLocations":[],"more":2,)" + kRules + "}}";
}
const std::string kGallery = R"({"value":[)" + resources_of("Pq", "IMDS", "Linux") + "," +
                             resources_of("Qr", "WireServer", "Windows") + R"(],"nextLink":"n"})";

std::string replaced_all(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

TEST(Convert, OfResourcesOnlyWhatIsAskedForChanges) {
  const auto as_text = [](const ConvertOptions& options) { return json::to_text(good(kGallery, options).document); };
  const std::string same = json::to_text(*json::parse(kGallery));
  ConvertOptions options{.to = ConvertTo::kProfile, .service = {}, .mode = "audit", .profile_id = {}};
  EXPECT_EQ(as_text(options), replaced_all(same, "Enforce", "Audit"));
  options.mode = {};
  options.service = Service::kWireServer;
  const Conversion one = good(kGallery, options);
  EXPECT_EQ(json::to_text(one.document),
            json::to_text(
                *json::parse(R"({"value":[)" + resources_of("Qr", "WireServer", "Windows") + R"(],"nextLink":"n"})")));
  EXPECT_THAT(one.notes, ElementsAre(HasSubstr("left out: /s/S/galleries/N/inVMAccessControlProfiles/Pq, /s/S")));
  options.profile_id = "/s/S/galleries/N/inVMAccessControlProfiles/New";
  EXPECT_EQ(as_text(options), replaced_all(json::to_text(one.document), "Qr", "New"));
  options = {.to = ConvertTo::kProfile, .service = Service::kImds, .mode = {}, .profile_id = {}};
  EXPECT_EQ(text_at(good("[" + resources_of("Pq", "IMDS", "Linux") + "]", options), "/1/name"), "1.10.0");
}

TEST(Convert, WhatAnItemHasNoPlaceForIsNamed) {
  for (const ConvertTo to : {ConvertTo::kItem, ConvertTo::kServices}) {
    const Conversion done = good(kGallery, {.to = to, .service = Service::kWireServer, .mode = {}, .profile_id = {}});
    EXPECT_THAT(done.notes,
                ElementsAre("what belongs to the resource is left out: targetLocations, excludeFromLatest, etag, "
                            "location of the profile, tags of the profile, osType of the profile, provisioningState "
                            "of the profile, zz of the profile"));
    EXPECT_NE(done.document.at(to == ConvertTo::kItem ? "/more" : "/wireserver/more"), nullptr);
  }
}

TEST(Convert, ALocalFileHasNoMode) {
  const ConvertOptions options{.to = ConvertTo::kLocal, .service = {}, .mode = {}, .profile_id = {}};
  const auto refused = converted(kItem, options);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("the mode \"audit\""));
  ConvertOptions lossy = options;
  lossy.lossy = true;
  const Conversion done = good(kItem, lossy);
  EXPECT_THAT(done.lost, ElementsAre(HasSubstr("the mode \"audit\"")));
  EXPECT_EQ(done.document.find("mode"), nullptr);
  EXPECT_EQ(text_at(done, "/owner"), "team");
  // Back again the mode must be said.
  const std::string local = json::to_text(done.document);
  EXPECT_THAT(converted(local, {.to = ConvertTo::kItem, .service = {}, .mode = {}, .profile_id = {}}).error().text(),
              HasSubstr("--mode"));
  const Conversion back = good(local, {.to = ConvertTo::kItem, .service = {}, .mode = "audit", .profile_id = {}});
  EXPECT_EQ(json::to_text(*back.document.find("rules")), json::to_text(*json::parse(kItem)->find("rules")));
  EXPECT_EQ(text_at(back, "/mode"), "audit");
  // A local file stays one.
  EXPECT_EQ(json::to_text(good(local, options).document), local);
}

TEST(Convert, WhatTheAgentWouldRefuseIsNotWritten) {
  const std::string dangling = R"({"defaultAccess":"deny","mode":"audit","id":"v1","rules":{
    "roleAssignments":[{"role":"gone","identities":["i"]}]}})";
  ConvertOptions options{.to = ConvertTo::kLocal, .service = {}, .mode = {}, .profile_id = {}, .lossy = true};
  EXPECT_THAT(converted(dangling, options).error().text(), HasSubstr("does not exist"));
  EXPECT_TRUE(converted(kItem, options));
}

TEST(Convert, RulesThatDenyEverythingAreNotWritten) {
  const std::string outside = R"({"openmsp":{"x":1},)" + kItem.substr(1);
  std::string inside = kItem;
  inside.replace(inside.find(R"("name":"i")"), 10, R"("name":"i","openmsp":{"unti":"a.service"})");
  for (const ConvertTo to : {ConvertTo::kItem, ConvertTo::kServices, ConvertTo::kStatus, ConvertTo::kProfile}) {
    ConvertOptions options{
        .to = to, .service = Service::kImds, .mode = "enforce", .profile_id = kProfile, .lossy = true};
    EXPECT_THAT(converted(outside, options).error().text(), HasSubstr("/openmsp at line 1"));
    EXPECT_THAT(converted(inside, options).error().text(), HasSubstr("/rules/identities/0/openmsp/unti"));
    // Those of another service are not asked for.
    options.service = Service::kWireServer;
    const std::string two = R"({"imds":)" + outside + R"(,"wireserver":)" + kItem + "}";
    EXPECT_TRUE(converted(two, options)) << static_cast<int>(to);
  }
}

TEST(Convert, AModeThatCountsAsOneOrAnotherIsLostInAProfile) {
  for (const std::string mode : {"weird", " audit", ""}) {
    std::string item = kItem;
    item.replace(item.find("audit"), 5, mode);
    ConvertOptions options{.to = ConvertTo::kProfile, .service = Service::kImds, .mode = {}, .profile_id = kProfile};
    EXPECT_THAT(converted(item, options).error().text(), HasSubstr("the mode \"" + mode + "\" (written as Enforce"));
    options.lossy = true;
    EXPECT_EQ(text_at(good(item, options), "/value/1/properties/mode"), "Enforce");
    options.lossy = false;
    options.mode = "disabled";
    EXPECT_EQ(text_at(good(item, options), "/value/1/properties/mode"), "Disabled");
  }
}

TEST(Convert, SwitchingLocalFilesOnIsLostWhereIdsAreNotWritten) {
  const std::string item = R"({"defaultAccess":"deny","mode":"audit",
    "id":"eyJpZCI6InNpZy03IiwidXNlTG9jYWxGaWxlUnVsZXMiOnRydWV9"})";
  const ConvertOptions options{
      .to = ConvertTo::kProfile, .service = Service::kImds, .mode = {}, .profile_id = kProfile};
  EXPECT_THAT(converted(item, options).error().text(), HasSubstr("switches local rule files on"));
  EXPECT_TRUE(converted(kItem, options));
}

TEST(Convert, StatusDocumentsAndServices) {
  const std::string services = R"({"imds":)" + kItem + R"(,"more":1})";
  const Conversion status = good(services, {.to = ConvertTo::kStatus, .service = {}, .mode = {}, .profile_id = {}});
  EXPECT_EQ(text_at(status, "/authorizationRules/imds/owner"), "team");
  EXPECT_TRUE(status.document.at("/authorizationRules/more") != nullptr);
  const std::string text = json::to_text(status.document);
  const Conversion back = good(text, {.to = ConvertTo::kItem, .service = Service::kImds, .mode = {}, .profile_id = {}});
  EXPECT_EQ(json::to_text(*json::parse(kItem)->find("rules")), json::to_text(*back.document.find("rules")));
  EXPECT_THAT(converted(text, {.to = ConvertTo::kItem, .service = Service::kWireServer, .mode = {}, .profile_id = {}})
                  .error()
                  .text(),
              HasSubstr("no rules for wireserver"));
  // What only the host's document has of services stays, too.
  const Conversion again = good(text, {.to = ConvertTo::kStatus, .service = {}, .mode = {}, .profile_id = {}});
  EXPECT_TRUE(again.document.at("/authorizationRules/more") != nullptr);
  const Conversion apart = good(text, {.to = ConvertTo::kServices, .service = {}, .mode = {}, .profile_id = {}});
  EXPECT_TRUE(apart.document.at("/more") != nullptr);
  const std::string two = R"({"imds":)" + kItem + R"(,"wireserver":)" + kItem + "}";
  EXPECT_THAT(converted(two, {.to = ConvertTo::kItem, .service = {}, .mode = {}, .profile_id = {}}).error().text(),
              HasSubstr("--service"));
}

/// As an author could write it: every reference once, nobody who is everybody.
RuleItem valid_item(test::Random& random) {
  RuleItem item = test::random_item(random);
  item.mode = test::one_of(random, std::array{"enforce", "Audit", "disabled"});
  const auto once = [](std::vector<std::string>& names) {
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());
  };
  for (RuleRole& role : *item.rules->roles) {
    once(role.privileges);
  }
  for (RuleAssignment& assignment : *item.rules->role_assignments) {
    once(assignment.identities);
  }
  for (RuleIdentity& identity : *item.rules->identities) {
    identity.user_name = identity.user_name.value_or("u9");
  }
  return item;
}

std::string written(const RuleItem& item) {
  json::Writer writer;
  write_rule_item(writer, item);
  return std::move(writer).take();
}

TEST(ConvertProperty, ThereAndBackKeepsDecisions) {
  EXPECT_TRUE(rc::check("item -> profile -> item and item -> local -> item decide alike", [] {
    test::Random random(*rc::gen::arbitrary<std::uint32_t>());
    const RuleItem item = valid_item(random);
    const Conversion profile =
        good(written(item), {.to = ConvertTo::kProfile, .service = Service::kImds, .mode = {}, .profile_id = kProfile});
    const Conversion local =
        good(written(item), {.to = ConvertTo::kLocal, .service = {}, .mode = {}, .profile_id = {}, .lossy = true});
    const auto before = read_rules("{\"imds\":" + written(item) + "}", "before");
    RC_ASSERT(before.ok());
    for (const Conversion* there : {&profile, &local}) {
      const Conversion back =
          good(json::to_text(there->document), {.to = ConvertTo::kServices,
                                                .service = Service::kImds,
                                                .mode = there == &local ? policy::lower(item.mode) : "",
                                                .profile_id = {}});
      const auto after = read_rules(json::to_text(back.document), "after");
      RC_ASSERT(after.ok());
      RC_ASSERT(after->item(Service::kImds)->rules == before->item(Service::kImds)->rules);
      RC_ASSERT(diff(*before, *after, {})->same());
    }
  }));
}

TEST(Convert, OfRulesInForceThoseOfHostgaAreLostWhereTheyAreOthers) {
  const std::string other = R"({"defaultAccess":"deny","mode":"audit","id":"v1"})";
  const std::string alike = R"({"inputRules":{"wireserver":)" + kItem + R"(,"hostga":)" + kItem + "}}";
  const std::string own = R"({"inputRules":{"wireserver":)" + kItem + R"(,"hostga":)" + other + "}}";
  ConvertOptions options{.to = ConvertTo::kServices, .service = {}, .mode = {}, .profile_id = {}};
  EXPECT_EQ(text_at(good(alike, options), "/wireserver/id"), "v1");
  const auto refused = converted(own, options);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("the rules of hostga"));
  options.lossy = true;
  EXPECT_THAT(good(own, options).lost, ElementsAre(HasSubstr("the rules of hostga")));
}

}  // namespace
}  // namespace msp::authoring
