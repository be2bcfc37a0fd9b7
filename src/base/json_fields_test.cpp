// SPDX-License-Identifier: Apache-2.0
#include "base/json_fields.h"

#include <gtest/gtest.h>

namespace msp::json {
namespace {

struct Settings {
  std::string path;
  std::int64_t port = 0;
  bool on = false;
  std::size_t mode = 0;
  std::vector<std::string> names;
  std::vector<std::string> hosts;
};

Settings read(std::string_view text, Problems& problems) {
  Settings out;
  const auto value = parse(text);
  EXPECT_TRUE(value);
  ObjectReader reader(*value, "/openmsp", problems);
  out.path = reader.string("path");
  out.on = reader.boolean("on", true);
  out.mode = reader.choice("mode", 1, {"off", "shadow", "enforce"});
  out.names = reader.strings("names");
  ObjectReader listen = reader.object("listen");
  out.port = listen.integer("port", 3080, {.min = 1, .max = 65535});
  listen.finish();
  reader.each_object("hosts", [&](ObjectReader& host) {
    out.hosts.push_back(host.string("name"));
    host.finish();
  });
  reader.finish();
  return out;
}

TEST(JsonFields, ReadsAndDefaults) {
  constexpr std::string_view kText = R"({"path":"/x","listen":{"port":80},"names":["a","b"],"mode":"enforce",
    "hosts":[{"name":"h1"},{"name":"h2"}]})";
  Problems problems(kText, "test.json");
  const Settings s = read(kText, problems);
  EXPECT_TRUE(problems.result());
  EXPECT_EQ(s.path, "/x");
  EXPECT_EQ(s.port, 80);
  EXPECT_TRUE(s.on);
  EXPECT_EQ(s.mode, 2U);
  EXPECT_EQ(s.names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(s.hosts, (std::vector<std::string>{"h1", "h2"}));
}

TEST(JsonFields, AllProblemsAtOnceWithTheirPlaces) {
  constexpr std::string_view kText =
      "{\n"
      "  \"on\": 1,\n"
      "  \"listen\": {\"port\": 70000, \"prot\": 1},\n"
      "  \"names\": [\"a\", 2],\n"
      "  \"mode\": \"Enforce\",\n"
      "  \"hosts\": [{}, 3],\n"
      "  \"a/b\": null\n"
      "}";
  Problems problems(kText, "test.json");
  const Settings s = read(kText, problems);
  EXPECT_EQ(s.port, 3080);
  EXPECT_TRUE(s.on);
  EXPECT_EQ(problems.lines(),
            (std::vector<std::string>{
                "/openmsp/path at line 1, column 1: is missing",
                "/openmsp/on at line 2, column 9: expected true or false, not a whole number",
                "/openmsp/mode at line 5, column 11: must be one of \"off\", \"shadow\", \"enforce\", is \"Enforce\"",
                "/openmsp/names/1 at line 4, column 18: expected a string, not a whole number",
                "/openmsp/listen/port at line 3, column 22: must be between 1 and 65535, is 70000",
                "/openmsp/listen/prot at line 3, column 29: is not known",
                "/openmsp/hosts/0/name at line 6, column 13: is missing",
                "/openmsp/hosts/1 at line 6, column 17: expected an object, not a whole number",
                "/openmsp/a~1b at line 7, column 3: is not known",
            }));
  const auto result = problems.result();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().source, Source::kConfig);
  EXPECT_TRUE(result.error().message.starts_with("test.json: 9 problems\n  /openmsp/path at line 1"));
}

TEST(JsonFields, NumbersOfTheWrongKind) {
  constexpr std::string_view kText = R"({"path":"\u0000","listen":{"port":80.0}})";
  Problems problems(kText, "t");
  read(kText, problems);
  EXPECT_EQ(problems.lines(), (std::vector<std::string>{
                                  "/openmsp/path at line 1, column 9: holds a NUL character",
                                  "/openmsp/listen/port at line 1, column 35: expected a whole number, not a number",
                              }));
  constexpr std::string_view kBig = R"({"path":"x","listen":{"port":18446744073709551615}})";
  Problems big(kBig, "t");
  read(kBig, big);
  EXPECT_EQ(big.lines(), (std::vector<std::string>{"/openmsp/listen/port at line 1, column 30: must be between 1 and "
                                                   "65535, is 18446744073709551615"}));
}

TEST(JsonFields, ADuplicateOrAnotherKindIsOneProblem) {
  for (const std::string_view text : {R"({"path":"a","path":"b"})", R"([1])", R"("x")"}) {
    Problems problems(text, "t");
    read(text, problems);
    EXPECT_EQ(problems.lines().size(), 1U) << text;
  }
}

TEST(JsonFields, RestReadsMaps) {
  constexpr std::string_view kText = R"({"known":"1","b":2,"a":3})";
  const auto value = parse(kText);
  Problems problems(kText, "t");
  ObjectReader reader(*value, "", problems);
  reader.string("known");
  const auto rest = reader.rest();
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0]->name, "b");
  reader.finish();
  EXPECT_TRUE(problems.empty());
  reader.fail("b", "must be even");
  EXPECT_EQ(problems.lines()[0], "/b at line 1, column 18: must be even");
}

}  // namespace
}  // namespace msp::json
