// SPDX-License-Identifier: Apache-2.0
#include "protocol/status.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>

#include "tests/vectors/golden.h"

namespace msp::protocol {
namespace {

constexpr std::array kServices{Service::kWireServer, Service::kImds, Service::kHostGaPlugin};

void expect_refused(const std::string& name, const std::string& document, const std::string& reason) {
  const Result<StatusDocument> parsed = parse_status(document);
  if (reason == "parse") {
    EXPECT_FALSE(parsed) << name;
    return;
  }
  ASSERT_TRUE(parsed) << parsed.error().text();
  EXPECT_FALSE(validate(*parsed));
  const Result<StatusDocument> refused = read_status(document);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().source, Source::kHost);
}

void expect_accepted(const std::string& document, const json::Value& expect) {
  const Result<StatusDocument> status = read_status(document, "application/json; charset=utf-8");
  ASSERT_TRUE(status) << status.error().text();
  EXPECT_EQ(state_text(*status), golden::text(expect, "state"));
  EXPECT_EQ(key_needed(*status), golden::flag(expect, "key_needed"));
  const json::Value* const guid = expect.find("key_guid");
  EXPECT_EQ(status->key_guid, guid->is_null() ? std::nullopt : std::optional(*guid->string()));
  for (const Service service : kServices) {
    const std::string mode = golden::text(*expect.find("modes"), to_string(service));
    EXPECT_EQ(mode_text(*status, service), mode);
    EXPECT_EQ(redirect_wanted(*status, service), mode != "disabled");
    EXPECT_EQ(rule_id(*status, service), golden::text(*expect.find("rule_ids"), to_string(service)));
  }
  // What the host writes is what the guest read.
  const Result<StatusDocument> again = read_status(write_status(*status));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(*again, *status);
}

TEST(Status, AgreesWithEveryVector) {
  const json::Value file = golden::load("status.json");
  // As 1.0 in the field: an unknown version without secureChannelState said "disabled" there.
  const std::set<std::string> versions{"version-3", "version-3-state", "version-empty", "version-2"};
  std::size_t checked = 0;
  for (const json::Value& value : golden::list(file, "vectors")) {
    const std::string name = golden::text(value, "name");
    SCOPED_TRACE(name);
    ++checked;
    const json::Value& expect = *value.find("expect");
    const std::string document = golden::text(value, "document_text");
    if (name == "array-of-fields") {
      expect_refused(name, document, "parse");  // the one form of the field that is not ours (L.22)
    } else if (versions.contains(name)) {
      expect_refused(name, document, "validation");  // on purpose (docs/compatibility.md)
    } else if (golden::flag(expect, "accept")) {
      expect_accepted(document, expect);
    } else {
      expect_refused(name, document, golden::text(expect, "reason"));
    }
  }
  EXPECT_EQ(checked, 90u);
}

std::string minimal(std::string_view member) {
  return R"({"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http","version":"1.0",)" +
         std::string(member) + "}";
}

TEST(Status, BytesThatAreNoUtf8AreReplaced) {
  const auto status = read_status(minimal("\"secureChannelState\":\"Disabled\",\"keyGuid\":\"a\xFF\""));
  ASSERT_TRUE(status) << status.error().text();
  EXPECT_EQ(status->key_guid, "a\xEF\xBF\xBD");
}

TEST(Status, CharsetsOfTheAnswer) {
  const std::string text = minimal(R"("secureChannelState":"Disabled","keyGuid":"ab")");
  std::string wide;
  for (const char c : text) {
    wide += c;
    wide += '\0';
  }
  EXPECT_TRUE(read_status(wide, "application/json; charset=UTF-16"));
  EXPECT_FALSE(read_status(wide.substr(1), "application/json; charset=utf-16"));
  EXPECT_FALSE(read_status(text, "application/json; charset=utf-32"));
  EXPECT_FALSE(read_status(text, "text/xml"));
  EXPECT_TRUE(read_status(text, "text/plain"));
}

TEST(Status, ErrorsNameThePlaceAndNeverTheContent) {
  const auto status = read_status(
      R"({"authorizationScheme":"a","keyDeliveryMethod":"http","secureChannelEnabled":true,"version":"2.0",
          "authorizationRules":{"imds":{"defaultAccess":"allow","mode":"audit","id":"secret-rule",
          "rules":{"privileges":[{"name":"p","path":"/x"},{"name":"q","path":7}]}}}})");
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("/authorizationRules/imds/rules/privileges/1/path"), std::string::npos)
      << status.error().message;
  EXPECT_EQ(status.error().message.find("secret-rule"), std::string::npos);
}

TEST(Status, AllThatIsWrongIsToldAtOnce) {
  const auto message = [](std::string_view document) { return read_status(document).error().message; };
  EXPECT_EQ(message(R"({"authorizationScheme":"a","keyDeliveryMethod":7,"version":2,"secureChannelState":"audit",
                        "authorizationRules":{"imds":{"defaultAccess":"allow","mode":5,"id":"x"}}})"),
            "the status document is refused: 4 problems: /keyDeliveryMethod: expected a string, found a whole number; "
            "/version: expected a string, found a whole number; "
            "/secureChannelState: secureChannelState is none of Disabled, WireServer, WireServerAndImds; "
            "/authorizationRules/imds/mode: expected a string, found a whole number");
  // A member of a wrong type is not missing as well.
  EXPECT_EQ(message(R"({"authorizationScheme":"a","keyDeliveryMethod":"http","version":"2.0",
                        "secureChannelEnabled":"yes"})"),
            "the status document is refused: /secureChannelEnabled: expected true or false, found a string");
  EXPECT_EQ(message("[]"), "the status document is refused: the document: expected an object, found an array");
}

TEST(Status, RemarksOnWhatIsOdd) {
  auto status = read_status(minimal(R"("secureChannelState":"Disabled")"));
  ASSERT_TRUE(status);
  EXPECT_TRUE(remarks(*status).empty());
  status->authorization_scheme = "Other";
  status->key_delivery_method = "vtpm";
  status->version = "2.0";
  status->secure_channel_enabled = true;
  EXPECT_EQ(remarks(*status).size(), 3u) << "enabled, and no rules";
  status->authorization_rules.emplace();
  EXPECT_EQ(remarks(*status).size(), 2u);
}

TEST(Status, AnUnknownVersionIsRefusedWhateverElseItSays) {
  for (const std::string version : {"3.0", "2.1", " 2.0", "2.0 ", "2", "", "1", "1.0.0", "2.00"}) {
    for (const std::string member :
         {R"("secureChannelEnabled":false)", R"("secureChannelEnabled":true)", R"("secureChannelState":"Disabled")",
          R"("secureChannelState":"Wireserver","secureChannelEnabled":true,"authorizationRules":{})"}) {
      const auto status = read_status(R"({"authorizationScheme":"a","keyDeliveryMethod":"http","version":")" + version +
                                      R"(",)" + member + "}");
      ASSERT_FALSE(status) << version << member;
      EXPECT_NE(status.error().message.find("/version: the version is none of 1.0, 2.0"), std::string::npos)
          << status.error().message;
    }
  }
}

TEST(Status, HostAndGuestAgreeOnTheExampleForm) {
  StatusDocument status{.authorization_scheme = "Azure-HMAC-SHA256",
                        .key_delivery_method = "http",
                        .key_incarnation_id = std::nullopt,
                        .key_guid = std::nullopt,
                        .required_claims_header_pairs = std::vector<std::string>{},
                        .secure_channel_state = std::nullopt,
                        .secure_channel_enabled = false,
                        .version = "2.0",
                        .authorization_rules = std::nullopt};
  EXPECT_EQ(write_status(status),
            R"({"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http","keyGuid":null,)"
            R"("keyIncarnationId":null,"requiredClaimsHeaderPairs":[],"secureChannelEnabled":false,)"
            R"("version":"2.0","authorizationRules":null})");
}

}  // namespace
}  // namespace msp::protocol
