// SPDX-License-Identifier: Apache-2.0
#include "authoring/case_file.h"

#include <fmt/core.h>

#include <array>
#include <limits>

#include "authoring/rule_text.h"
#include "base/json_fields.h"

namespace msp::authoring {
namespace {

using json::ObjectReader;

constexpr std::array<Service, kServiceCount> kServices{Service::kImds, Service::kWireServer, Service::kHostGaPlugin};
constexpr std::array<policy::Matching, 3> kMatchings{policy::Matching::kOff, policy::Matching::kShadow,
                                                     policy::Matching::kEnforce};
constexpr std::array<Outcome, 3> kOutcomes{Outcome::kPermit, Outcome::kAudit, Outcome::kDeny};

template <class T>
std::optional<T> word(ObjectReader& reader, std::string_view name, const std::array<T, 3>& values) {
  if (!reader.has(name)) {
    return std::nullopt;
  }
  const std::string text = reader.string(name);
  for (const T value : values) {
    if (text == to_string(value)) {
      return value;
    }
  }
  reader.fail(name, fmt::format("must be one of {}, {} and {}", to_string(values[0]), to_string(values[1]),
                                to_string(values[2])));
  return std::nullopt;
}

std::optional<std::string> optional_text(ObjectReader& reader, std::string_view name) {
  return reader.has(name) ? std::optional(reader.string(name)) : std::nullopt;
}

/// "alice", or an object.
Caller read_caller(ObjectReader& parent) {
  Caller out;
  const json::Value* const value = parent.raw("as");
  if (value == nullptr) {
    parent.fail("as", "is missing: who asks? A user name, or an object with user, uid, groups, exe, …");
    return out;
  }
  if (value->is_string()) {
    out.user = *value->string();
    return out;
  }
  ObjectReader reader = parent.object("as");
  out.user = reader.string("user", "");
  if (reader.has("uid")) {
    out.uid =
        static_cast<std::uint32_t>(reader.integer("uid", {.min = 0, .max = std::numeric_limits<std::uint32_t>::max()}));
  }
  out.groups = reader.strings("groups");
  out.exe = reader.string("exe", "");
  out.process = reader.string("process", "");
  out.cgroup = reader.string("cgroup", "");
  out.unit = reader.string("unit", "");
  out.container = reader.string("container", "");
  for (const CallerFault& fault : faults_of(out)) {
    reader.fail(fault.member, fault.what);
  }
  reader.finish();
  // What could not be read has been told, and is not missing as well.
  const json::Value* const user = value->find("user");
  const bool named = !out.user.empty() || out.uid || (user != nullptr && !user->is_string());
  if (value->object() != nullptr && !named) {
    parent.fail("as", "names nobody: say user, or uid for a user without name");
  }
  return out;
}

/// "GET http://169.254.169.254/metadata", or "GET /metadata" with a service.
void read_request(ObjectReader& parent, std::optional<Service> service, Case& out) {
  const std::string text = parent.string("request");
  const std::size_t blank = text.find(' ');
  if (blank == std::string::npos) {
    if (!text.empty()) {
      parent.fail("request", "must be a method, a blank and a URL");
    }
    return;
  }
  out.method = text.substr(0, blank);
  auto url = read_url(std::string_view(text).substr(blank + 1), service);
  if (url) {
    out.url = *std::move(url);
  } else {
    parent.fail("request", fmt::format("{} ({})", url.error().message, url.error().hint));
  }
}

Case read_case(ObjectReader& reader, std::optional<Service> of_file) {
  Case out;
  out.pointer = reader.pointer();
  out.name = reader.string("name");
  read_question(reader, of_file, out);
  out.matching = word(reader, "matching", kMatchings);
  if (auto expected = read_expected(reader)) {
    out.expected = *std::move(expected);
  } else {
    reader.fail("expect", "is missing: permit, audit or deny");
  }
  reader.finish();
  return out;
}

}  // namespace

void read_question(ObjectReader& reader, std::optional<Service> of_file, Case& out) {
  out.caller = read_caller(reader);
  const std::optional<Service> service = word(reader, "service", kServices);
  read_request(reader, service ? service : of_file, out);
}

/// "permit", "audit", "deny", or an object that says more.
std::optional<Expected> read_expected(ObjectReader& parent) {
  const json::Value* const value = parent.raw("expect");
  if (value == nullptr) {
    return std::nullopt;
  }
  Expected out;
  if (value->is_string()) {
    out.outcome = word(parent, "expect", kOutcomes).value_or(out.outcome);
    return out;
  }
  ObjectReader reader = parent.object("expect");
  if (!reader.has("outcome")) {
    reader.fail("outcome", "is missing: permit, audit or deny");
  }
  out.outcome = word(reader, "outcome", kOutcomes).value_or(out.outcome);
  if (reader.has("status")) {
    out.status = static_cast<int>(reader.integer("status", {.min = 0, .max = 599}));
  }
  out.code = optional_text(reader, "code");
  out.privilege = optional_text(reader, "privilege");
  reader.finish();
  return out;
}

Result<CaseFile> read_cases(std::string_view text, std::string_view name) {
  if (auto encoding = other_encoding(text, std::string(name))) {
    return *std::move(encoding);
  }
  auto tree = json::parse(text, {.max_bytes = std::size_t{64} << 20, .max_nodes = 4'000'000, .skip_bom = true});
  if (!tree) {
    return std::move(tree).error().context(name);
  }
  json::Problems problems(text, name);
  ObjectReader reader(*tree, "", problems);
  CaseFile out;
  if (const json::Value* const rules = reader.raw("rules"); rules != nullptr && rules->is_string()) {
    out.rules_path = *rules->string();
  } else if (rules != nullptr && !rules->is_null()) {
    // Blanks in front keep the places of the file for messages about these rules.
    out.rules_text = text.substr(0, rules->begin);
    for (char& c : out.rules_text) {
      c = c == '\n' ? c : ' ';
    }
    out.rules_text += text.substr(rules->begin, rules->end - rules->begin);
  }
  out.matching = word(reader, "matching", kMatchings).value_or(out.matching);
  out.service = word(reader, "service", kServices);
  reader.each_object("cases", [&](ObjectReader& item) { out.cases.push_back(read_case(item, out.service)); });
  if (out.cases.empty()) {
    reader.fail("cases", "there are no cases");
  }
  reader.finish();
  if (auto good = problems.result(); !good) {
    Error error = std::move(good).error();
    error.hint = "the form of a file of cases is in docs/mspctl-policy.md";
    return error;
  }
  return out;
}

std::string difference(const Expected& expected, const Judgement& found) {
  if (expected.outcome != found.outcome) {
    return fmt::format("expected {}, found {}", to_string(expected.outcome), to_string(found.outcome));
  }
  if (expected.status && *expected.status != found.status) {
    return fmt::format("expected status {}, found {}", *expected.status, found.status);
  }
  if (expected.code && *expected.code != found.code) {
    return fmt::format("expected code \"{}\", found \"{}\"", *expected.code, found.code);
  }
  if (expected.privilege && *expected.privilege != found.names.privilege) {
    return fmt::format("expected privilege \"{}\", found \"{}\"", *expected.privilege, found.names.privilege);
  }
  return {};
}

}  // namespace msp::authoring
