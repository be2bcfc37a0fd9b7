// SPDX-License-Identifier: Apache-2.0
#include "policy/fold.h"

#include <gtest/gtest.h>

namespace msp::policy {
namespace {

std::string decoded(std::string_view raw) {
  std::pmr::string out;
  append_decoded_lower(raw, out);
  return std::string(out);
}

TEST(Fold, LowersAsciiAndLeavesTheRest) { EXPECT_EQ(lower("AbZ[@`{09"), "abz[@`{09"); }

TEST(Fold, LowersOutsideAscii) {
  EXPECT_EQ(lower("É"), "é");
  EXPECT_EQ(lower("ĀĂŸ"), "āăÿ");
  EXPECT_EQ(lower("ДЖ"), "дж");
  EXPECT_EQ(lower("ẞ"), "ß");
  EXPECT_EQ(lower("Ⴀ"), "ⴀ");
  EXPECT_EQ(lower("𐐀"), "𐐨");
  EXPECT_EQ(lower("中文"), "中文");
}

TEST(Fold, SignsThatLookAlikeBecomeAscii) {
  EXPECT_EQ(lower("\u212a"), "k");  // KELVIN SIGN, protocol.md L.7
  EXPECT_EQ(lower("\u212b"), "å");
}

TEST(Fold, DottedCapitalIBecomesTwoCharacters) { EXPECT_EQ(lower("İ"), "i\u0307"); }

TEST(Fold, SigmaIsFinalAtTheEndOfAWordOnly) {
  EXPECT_EQ(lower("Σ"), "σ");
  EXPECT_EQ(lower("ΑΣ"), "ας");
  EXPECT_EQ(lower("ΑΣΑ"), "ασα");
  EXPECT_EQ(lower("AΣ'B"), "aσ'b");
  EXPECT_EQ(lower("A'Σ/B"), "a'ς/b");
  EXPECT_EQ(lower("A/Σ"), "a/σ");
  EXPECT_EQ(lower("AΣ\u0301"), "aς\u0301");
}

TEST(Fold, IllFormedPartsAreReplacedOneByOne) {
  EXPECT_EQ(lower("a\xff"
                  "B"),
            "a\ufffd"
            "b");
  EXPECT_EQ(lower("\xc0\xaf"), "\ufffd\ufffd");
  EXPECT_EQ(lower("\xe0\x80\xaf"), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(lower("\xe4\xb8"), "\ufffd");
  EXPECT_EQ(lower("\xe4\xb8/"), "\ufffd/");
  EXPECT_EQ(lower("\xf0\x9f\x92/"), "\ufffd/");
  EXPECT_EQ(lower("\xed\xa0\x80"), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(lower("\xf5\x80"), "\ufffd\ufffd");
}

TEST(Fold, DecodesOnceAndKeepsBadEscapes) {
  EXPECT_EQ(decoded("/A%2fB"), "/a/b");
  EXPECT_EQ(decoded("/a%252F"), "/a%2f");
  EXPECT_EQ(decoded("/%zZ%4"), "/%zz%4");
  EXPECT_EQ(decoded("%"), "%");
  EXPECT_EQ(decoded("%41"), "a");
  EXPECT_EQ(decoded("a+b"), "a+b");
  EXPECT_EQ(decoded("/CAF%C3%89"), "/café");
  EXPECT_EQ(decoded("/x%FF"), "/x\ufffd");
}

TEST(Fold, AppendsBehindWhatIsThere) {
  std::pmr::string out = "x";
  append_lower("Y", out);
  append_decoded_lower("%5A", out);
  EXPECT_EQ(out, "xyz");
}

TEST(Fold, ComparingIsTheSameAsFolding) {
  const char* const raws[] = {"",       "a",       "A%41",      "%4",         "%",        "x%zzY",
                              "%C3%89", "a%C3%89", "a%FF",      "%2541",      "a%ceb",    "A%CE%A3",
                              "+ a",    "abcdef",  "%61%62%63", "%41%C4%B0b", "%E2%84%AA"};
  for (const char* raw : raws) {
    for (const char* other : raws) {
      EXPECT_EQ(equals_decoded_lower(raw, decoded(other)), decoded(raw) == decoded(other)) << raw << " " << other;
    }
    EXPECT_FALSE(equals_decoded_lower(raw, decoded(raw) + "x"));
  }
}

}  // namespace
}  // namespace msp::policy
