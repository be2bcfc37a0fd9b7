// SPDX-License-Identifier: Apache-2.0
#include "protocol/authorization.h"

#include <gtest/gtest.h>

#include <string>

#include "http/target.h"

namespace msp::protocol {
namespace {

constexpr std::string_view kGuid = "5c0f6a52-2f0e-4d0b-9a63-1b7de2a4c8f7";

std::string good() {
  Sha256Digest signature{};
  for (std::size_t i = 0; i < signature.size(); ++i) {
    signature[i] = static_cast<std::uint8_t>(i * 7 + 1);
  }
  std::string out;
  format_authorization(kGuid, signature, out);
  return out;
}

TEST(Authorization, ReadsWhatItWrites) {
  const std::string text = good();
  EXPECT_EQ(text.size(), kAuthorizationSize);
  const auto parsed = parse_authorization(text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->guid, kGuid);
  std::string again;
  format_authorization(parsed->guid, parsed->signature, again);
  EXPECT_EQ(again, text);
}

// Every byte matters: no other character may stand where one stands, except a digit for a digit.
TEST(Authorization, RefusesEveryOtherCharacterAtEveryPlace) {
  const std::string text = good();
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t digits_from = kScheme.size() + 1;
    for (int c = 0; c < 256; ++c) {
      std::string changed = text;
      changed[at] = static_cast<char>(c);
      const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
      const bool was_digit = at >= digits_from && text[at] != ' ' && text[at] != '-';
      const bool expected = changed == text || (was_digit && digit);
      ASSERT_EQ(parse_authorization(changed).has_value(), expected) << at << " " << c;
    }
  }
}

TEST(Authorization, RefusesOtherLengths) {
  const std::string text = good();
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(parse_authorization(text.substr(0, size)));
    EXPECT_FALSE(parse_authorization(text.substr(text.size() - size)));
  }
  EXPECT_FALSE(parse_authorization(text + " "));
  EXPECT_FALSE(parse_authorization(" " + text));
  EXPECT_FALSE(parse_authorization(text + text));
}

TEST(Guid, Syntax) {
  EXPECT_TRUE(is_guid(kGuid));
  EXPECT_TRUE(is_lower_guid(kGuid));
  EXPECT_TRUE(is_guid("5C0F6A52-2F0E-4D0B-9A63-1B7DE2A4C8F7"));
  EXPECT_FALSE(is_lower_guid("5C0F6A52-2f0e-4d0b-9a63-1b7de2a4c8f7"));
  EXPECT_FALSE(is_guid(""));
  EXPECT_FALSE(is_guid("{c0f6a52-2f0e-4d0b-9a63-1b7de2a4c8f}"));
  EXPECT_FALSE(is_guid("5c0f6a522f0e-4d0b-9a63-1b7de2a4c8f7-"));
  EXPECT_FALSE(is_guid("../../../../../../../etc/passwd-0000"));
  EXPECT_FALSE(is_guid("5c0f6a52-2f0e-4d0b-9a63-1b7de2a4c8f7."));
}

TEST(Headers, ClaimsKeepTheirOddBlanks) {
  EXPECT_EQ(claims_text(true), R"({ "isRoot": "true"})");
  EXPECT_EQ(claims_text(false), R"({ "isRoot": "false"})");
  EXPECT_EQ(parse_claims(claims_text(true)), std::optional(true));
  EXPECT_EQ(parse_claims(claims_text(false)), std::optional(false));
  EXPECT_EQ(parse_claims(R"({"isRoot":"true"})"), std::nullopt);
  EXPECT_EQ(parse_claims(R"({ "isRoot": true})"), std::nullopt);
  EXPECT_EQ(parse_claims(""), std::nullopt);
}

TEST(Headers, ExemptRequestsMatchAsAWhole) {
  const auto exempt = [](std::string_view method, std::string_view target) {
    return is_exempt(method, http::parse_target(target).value());
  };
  EXPECT_TRUE(exempt("PUT", "/vmAgentLog"));
  EXPECT_TRUE(exempt("PUT", "/VMAGENTLOG"));
  EXPECT_TRUE(exempt("POST", "/machine/?comp=telemetrydata"));
  EXPECT_TRUE(exempt("POST", "/Machine/?COMP=TelemetryData"));
  EXPECT_FALSE(exempt("put", "/vmAgentLog"));
  EXPECT_FALSE(exempt("POST", "/vmAgentLog"));
  EXPECT_FALSE(exempt("PUT", "/vmAgentLog?"));
  EXPECT_FALSE(exempt("PUT", "/vmAgentLog/"));
  EXPECT_FALSE(exempt("PUT", "/vmAgentLog?a"));
  EXPECT_FALSE(exempt("PUT", "http://168.63.129.16:32526/vmAgentLog"));
  EXPECT_FALSE(exempt("PUT", "/machine/?comp=telemetrydata"));
  EXPECT_FALSE(exempt("POST", "/machine?comp=telemetrydata"));
  EXPECT_FALSE(exempt("POST", "/machine/?comp=telemetrydata&"));
  EXPECT_FALSE(exempt("POST", "/machine/?a=1&comp=telemetrydata"));
  EXPECT_FALSE(exempt("POST", "http://168.63.129.16/machine/?comp=telemetrydata"));
}

TEST(Headers, AttestationPath) {
  const std::string path = attestation_path(kGuid);
  EXPECT_EQ(path, "/secure-channel/key/5c0f6a52-2f0e-4d0b-9a63-1b7de2a4c8f7/key-attestation");
  EXPECT_EQ(parse_attestation_path(path), std::optional(kGuid));
  EXPECT_EQ(parse_attestation_path(path + "/"), std::nullopt);
  EXPECT_EQ(parse_attestation_path("/secure-channel/key//key-attestation"), std::nullopt);
  EXPECT_EQ(parse_attestation_path(attestation_path("5C0F6A52-2F0E-4D0B-9A63-1B7DE2A4C8F7")), std::nullopt);
  EXPECT_EQ(parse_attestation_path(attestation_path("../../../../../../../../../etc/shadow")), std::nullopt);
}

}  // namespace
}  // namespace msp::protocol
