// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/utf8.h"

namespace msp::json {
namespace {

std::string error_of(std::string_view text, const Options& options = {}) {
  auto parsed = parse(text, options);
  return parsed ? "no error: " + to_text(*parsed) : parsed.error().message;
}

TEST(Json, KeepsKindsApart) {
  const auto v =
      parse(R"({"n":null,"t":true,"i":-9223372036854775808,"p":9223372036854775807,"u":18446744073709551615,)"
            R"("d":1.0,"big":18446744073709551616,"s":"x","a":[1,2],"o":{}})");
  ASSERT_TRUE(v) << v.error().text();
  EXPECT_EQ(v->find("n")->kind(), Kind::kNull);
  EXPECT_TRUE(*v->find("t")->boolean());
  EXPECT_EQ(v->find("i")->int64(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(v->find("p")->kind(), Kind::kInteger);
  EXPECT_EQ(v->find("p")->uint64(), 9223372036854775807U);
  EXPECT_EQ(v->find("u")->kind(), Kind::kUnsigned);
  EXPECT_EQ(v->find("u")->uint64(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_FALSE(v->find("u")->int64());
  EXPECT_EQ(v->find("d")->kind(), Kind::kDouble);
  EXPECT_FALSE(v->find("d")->int64());
  EXPECT_EQ(v->find("d")->number(), 1.0);
  EXPECT_EQ(v->find("big")->kind(), Kind::kDouble);
  EXPECT_EQ(*v->find("s")->string(), "x");
  EXPECT_EQ(v->find("a")->array()->size(), 2U);
  EXPECT_TRUE(v->find("o")->object()->members.empty());
  EXPECT_EQ(v->find("missing"), nullptr);
}

TEST(Json, NumbersAreReadToTheLastBit) {
  const std::pair<const char*, double> numbers[] = {
      {"0.1", 0.1},
      {"1.5e3", 1500},
      {"-1E-2", -0.01},
      {"9007199254740993.0", 9007199254740992.0},
      {"5e-324", 5e-324},
      {"1e-400", 0},
      {"0.0", 0},
      {"1.7976931348623157e308", 1.7976931348623157e308},
      // A zero with an exponent made the library count the leading zeros of nothing.
      {"0e51", 0},
      {"0.0e51", 0},
      {"-0e-51", 0},
      {"0.000e-400", 0},
  };
  for (const auto& [text, expected] : numbers) {
    const auto v = parse(text);
    ASSERT_TRUE(v) << text << " " << v.error().text();
    EXPECT_EQ(v->kind(), Kind::kDouble) << text;
    EXPECT_EQ(v->number(), expected) << text;
  }
  EXPECT_EQ(parse("-0")->int64(), 0);
  EXPECT_EQ(parse("-9223372036854775809")->kind(), Kind::kDouble);
  for (const char* const text : {"1e309", "-1e400", "[1e99999]"}) {
    EXPECT_THAT(error_of(text), testing::HasSubstr("a number that is too big")) << text;
  }
}

TEST(Json, DuplicatesAreKeptInOrder) {
  constexpr std::string_view kText = "{\"a\":1, \"b\":2,\n \"a\":3}";
  const auto v = parse(kText);
  ASSERT_TRUE(v);
  EXPECT_EQ(v->object()->members.size(), 3U);
  EXPECT_EQ(v->find("a")->int64(), 3);
  ASSERT_NE(v->object()->duplicate(), nullptr);
  EXPECT_EQ(v->object()->duplicate()->begin, kText.rfind("\"a\""));
  EXPECT_EQ(error_of(kText, {.unique_members = true}), "line 2, column 2: member \"a\" occurs twice");
}

TEST(Json, RangesAreThoseOfTheSource) {
  constexpr std::string_view kText = R"( { "a\n" : [ 1.5e3 , "x\u00e9" , {"b":true} , [] ,-12, null ] } )";
  const auto v = parse(kText);
  ASSERT_TRUE(v) << v.error().text();
  const auto source = [&](const Value& value) { return kText.substr(value.begin, value.end - value.begin); };
  EXPECT_EQ(source(*v), kText.substr(1, kText.size() - 2));
  EXPECT_EQ(kText.substr(v->object()->members[0].begin, 5), "\"a\\n\"");
  const Array& a = *v->object()->members[0].value.array();
  EXPECT_EQ(source(a[0]), "1.5e3");
  EXPECT_EQ(source(a[1]), "\"x\\u00e9\"");
  EXPECT_EQ(source(a[2]), "{\"b\":true}");
  EXPECT_EQ(source(*a[2].find("b")), "true");
  EXPECT_EQ(source(a[3]), "[]");
  EXPECT_EQ(source(a[4]), "-12");
  EXPECT_EQ(source(a[5]), "null");
  const auto number = parse("  42");
  ASSERT_TRUE(number);
  EXPECT_EQ(number->begin, 2U);
  EXPECT_EQ(number->end, 4U);
}

TEST(Json, ErrorsHaveTheirPlace) {
  EXPECT_EQ(error_of("{\"a\":1,\n \"b\" 2}"), "line 2, column 6: expected ':' after the member name");
  EXPECT_EQ(error_of("{\"é\": x}"), "line 1, column 7: expected a value");
  EXPECT_EQ(error_of("{\"a\":1,}"), "line 1, column 8: expected a member name in double quotes");
  EXPECT_EQ(error_of("[1 2]"), "line 1, column 4: expected ',' or ']' after an element");
  EXPECT_EQ(error_of("[\"a\nb\"]"), "line 1, column 4: a control character in a string (write it as an escape)");
  EXPECT_EQ(error_of("[\"a\\qb\"]"), "line 1, column 4: unknown escape in a string");
  EXPECT_EQ(error_of("  "), "line 1, column 3: nothing but blanks");
  EXPECT_EQ(error_of(""), "line 1, column 1: nothing but blanks");
}

TEST(Json, RefusesWhatIsNoJson) {
  for (const std::string_view text : {"1e400",
                                      "-1e400",
                                      "01",
                                      "+1",
                                      ".5",
                                      "1.",
                                      "1e",
                                      "NaN",
                                      "Infinity",
                                      "'a'",
                                      "{a:1}",
                                      "[1,]",
                                      "{} x",
                                      "{}{}",
                                      "1 2",
                                      "// c\n1",
                                      "/*c*/1",
                                      "\"a",
                                      "\"\t\"",
                                      "\"\\x\"",
                                      "\"\\u12g4\"",
                                      "\"\\ud800\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"\\udc00\"",
                                      "tru",
                                      "nul",
                                      "[",
                                      "{",
                                      "\xEF\xBB\xBF{}",
                                      "\"\xff\"",
                                      "\"\xc0\xaf\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xf4\x90\x80\x80\""}) {
    EXPECT_FALSE(parse(text)) << text;
  }
  EXPECT_EQ(error_of(std::string_view("{}\0{", 4)), "line 1, column 3: a NUL byte");
  EXPECT_EQ(error_of(std::string_view("\"a\0b\"", 5)), "line 1, column 3: a NUL byte");
}

TEST(Json, BoundsHold) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse(nested(64)));
  EXPECT_EQ(error_of(nested(65)), "line 1, column 65: nested deeper than 64");
  EXPECT_FALSE(parse(nested(1'000'000)));
  EXPECT_FALSE(parse(std::string(1'000'000, '{')));
  EXPECT_EQ(error_of("[1,2,3]", {.max_nodes = 3}), "line 1, column 6: more than 3 values");
  EXPECT_TRUE(parse("[1,2]", {.max_nodes = 3}));
  EXPECT_FALSE(parse("[1,2]", {.max_bytes = 4}));
}

TEST(Json, Options) {
  const auto bom = parse("\xEF\xBB\xBF {\"a\":1}", {.skip_bom = true});
  ASSERT_TRUE(bom) << bom.error().text();
  EXPECT_EQ(bom->begin, 4U);
  const auto lossy = parse("[\"a\xff\xc3\xa9\", \"\\udc00\"]", {.lossy_utf8 = true});
  ASSERT_TRUE(lossy) << lossy.error().text();
  EXPECT_EQ(*(*lossy->array())[0].string(), "a\xEF\xBF\xBD\xc3\xa9");
  EXPECT_EQ(*(*lossy->array())[1].string(), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(parse("[", {.source = Source::kHost}).error().source, Source::kHost);
}

TEST(Json, EveryPrefixOfADocumentIsRefused) {
  const std::string text = R"({"a":[1,-2.5e3,true,null,"x\u00e9\n"],"b":{"c":{}}})";
  ASSERT_TRUE(parse(text));
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::vector<char> exact(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(parse({exact.data(), exact.size()})) << size;
  }
}

TEST(Json, Pointers) {
  const auto v = parse(R"({"a/b":{"~":[10,{"":7}]},"0":1})");
  ASSERT_TRUE(v);
  EXPECT_EQ(v->at(""), &*v);
  EXPECT_EQ(v->at("/a~1b/~0/0")->int64(), 10);
  EXPECT_EQ(v->at("/a~1b/~0/1/")->int64(), 7);
  EXPECT_EQ(v->at("/0")->int64(), 1);
  for (const char* none :
       {"a", "/x", "/a~1b/~0/2", "/a~1b/~0/-", "/a~1b/~0/00", "/a~1b/~0/+1", "/a~2b", "/a~", "/0/x"}) {
    EXPECT_EQ(v->at(none), nullptr) << none;
  }
  std::string pointer = "/x";
  append_pointer(pointer, "a/b~c");
  EXPECT_EQ(pointer, "/x/a~1b~0c");
}

TEST(Json, WriterKeepsOrderAndEscapes) {
  Writer w;
  w.begin_object()
      .field("z", 1)
      .field("a", "q\"\\\n\x01é")
      .field("t", true)
      .field("u", std::uint64_t{18446744073709551615U});
  w.field("neg", -5).field("d", 0.5).key("n").null().key("list").begin_array().value("x").value(std::string("y"));
  w.end_array().key("bad").value(std::string_view("\xff")).field("nan", std::nan("")).end_object();
  EXPECT_EQ(
      std::move(w).take(),
      "{\"z\":1,\"a\":\"q\\\"\\\\\\n\\u0001é\",\"t\":true,\"u\":18446744073709551615,\"neg\":-5,\"d\":0.5,\"n\":null,"
      "\"list\":[\"x\",\"y\"],\"bad\":\"\xEF\xBF\xBD\",\"nan\":null}");
}

TEST(Json, PrettyHasTwoBlanksAndNoLastNewline) {
  Writer w(Style::kPretty);
  w.begin_object().key("a").begin_array().value(1).value(2).end_array();
  w.key("e").begin_object().end_object().key("l").begin_array().end_array().end_object();
  EXPECT_EQ(std::move(w).take(), "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"e\": {},\n  \"l\": []\n}");
}

TEST(Json, RoundTrip) {
  constexpr std::string_view kText =
      R"({"b":[1,-2,18446744073709551615,0.1,"x",null,true,{}],"a":{"x":"é\"\\"},"a":0})";
  const auto v = parse(kText);
  ASSERT_TRUE(v);
  EXPECT_EQ(to_text(*v), kText);
}

TEST(Json, AppendString) {
  std::string out = "x";
  append_json_string(out, std::string_view("a\"\\\n\r\t\0\x1f\x7fé\xff\xe2\x82", 14));
  EXPECT_EQ(out, "x\"a\\\"\\\\\\n\\r\\t\\u0000\\u001f\\u007fé\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
  const auto back = parse(out.substr(1));
  EXPECT_TRUE(back);
}

TEST(Json, EachByteAtEachPlaceOfAWord) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    for (std::size_t at = 0; at < 9; ++at) {
      std::string text = "abcdefgh~";
      text[at] = static_cast<char>(byte);
      std::string out;
      append_json_string(out, text);
      const auto back = parse(out);
      ASSERT_TRUE(back) << byte;
      EXPECT_EQ(*back->string(), utf8_repair(text)) << byte;
      EXPECT_EQ(out.find('\x7f'), std::string::npos);
    }
  }
}

TEST(Json, AppendStringAlwaysParses) {
  std::uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 24; ++i) {
      state = state * 1664525U + 1013904223U;
      text += static_cast<char>(state >> 24);
    }
    std::string out;
    append_json_string(out, text);
    const auto back = parse(out);
    ASSERT_TRUE(back) << out;
    EXPECT_EQ(out.find('\n'), std::string::npos);
  }
}

TEST(Json, WipeOverwritesStrings) {
  auto v = parse(R"({"key":"0123456789abcdef0123456789abcdef","l":["0123456789abcdef0123456789abcdef"]})");
  ASSERT_TRUE(v);
  const char* held = v->find("key")->string()->data();
  wipe(*v);
  EXPECT_TRUE(v->find("key")->string()->empty());
  EXPECT_EQ(std::string_view(held, 32), std::string_view(std::string(32, '\0')));
}

}  // namespace
}  // namespace msp::json
