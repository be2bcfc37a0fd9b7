// SPDX-License-Identifier: Apache-2.0
// The trace is written from the rules as text, the engine decides by a compiled index: on random rules and requests
// both must come to the same end. RC_PARAMS="max_success=1000000" for a long run.
#include <string>
#include <vector>

#include "authoring/caller.h"
#include "authoring/explain.h"
#include "tests/support/rapidcheck.h"

namespace msp::authoring {
namespace {

using rc::gen::element;
using Texts = std::vector<std::string>;

constexpr int kNames = 4;

std::string pick(const Texts& from) { return *rc::gen::elementOf(from); }

std::string name(char kind) { return std::string(1, kind) + std::to_string(*rc::gen::inRange(0, kNames)); }

Texts names(char kind) {
  Texts out;
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    out.push_back(name(kind));
  }
  return out;
}

const Texts kRulePaths{"/",  "/a",     "/A/b",      "/a/", "/a/b/c", "a",      "/a%2fb", "/a;x",
                       "/%", "/a/./b", "/\xc3\x9c", "/ab", "//a",    "/a?k=1", "",       "/a/../b"};
const Texts kTargets{"/",
                     "/a",
                     "/ab",
                     "/A/B",
                     "/a/b",
                     "/a/b/c?k=1",
                     "/a?k=1&l=2",
                     "/a%2Fb?K=1",
                     "/a;x",
                     "/a/./b",
                     "/%",
                     "/a%3fk=1",
                     "/%C3%9C",
                     "/a?k=2&k=1",
                     "/a?k=+&l",
                     "/a?k=a%2Bb",
                     "/a//b",
                     "/a/../b",
                     "*",
                     "/a?%",
                     "/a/b/?k",
                     "http://169.254.169.254/a",
                     "abc",
                     "/%2fa",
                     "/a?=1",
                     "/a?&&k=1",
                     "/a?k=1&",
                     "/a%3Fk=1&l=2?k=2",
                     "/secure-channel/x",
                     "/vmAgentLog"};
const Texts kValues{"1", "2", "", "a b", "A+B", "1&l=2", "%31"};

/// All names occur, or some do: a deny that names what does not exist makes the rules unusable.
class Names {
 public:
  int count(int most) const { return whole_ ? kNames : *rc::gen::inRange(0, most); }
  std::string of(char kind, int i) const { return whole_ ? std::string(1, kind) + std::to_string(i - 1) : name(kind); }

 private:
  bool whole_ = *rc::gen::inRange(0, 2) == 0;
};

RuleSections sections() {
  const Names all;
  RuleSections out;
  out.privileges.emplace();
  out.roles.emplace();
  out.identities.emplace();
  out.role_assignments.emplace();
  for (int i = *rc::gen::inRange(0, 6); i > 0; --i) {
    RulePrivilege privilege{
        .name = name('p'), .path = *rc::gen::inRange(0, 2) == 0 ? "/" : pick(kRulePaths), .query_parameters = {}};
    for (int k = *rc::gen::inRange(0, 5) - 2; k > 0; --k) {
      privilege.query_parameters.emplace_back(*element<std::string>("k", "K", "l"), pick(kValues));
    }
    privilege.openmsp.methods = *rc::gen::inRange(0, 6) == 0 ? *element(Texts{"PUT"}, Texts{"POST", "GET"}) : Texts{};
    out.privileges->push_back(std::move(privilege));
  }
  for (int i = all.count(4); i > 0; --i) {
    out.roles->push_back({.name = all.of('r', i), .privileges = names('p')});
    out.role_assignments->push_back({.role = name('r'), .identities = names('i')});
    out.role_assignments->back().openmsp = {.deny = *rc::gen::inRange(0, 4) == 0,
                                            .dry_run = *rc::gen::inRange(0, 4) == 0};
  }
  const auto maybe = [](const Texts& from) {
    return *rc::gen::inRange(0, 3) == 0 ? std::optional(pick(from)) : std::nullopt;
  };
  for (int i = all.count(5); i > 0; --i) {
    out.identities->push_back({.name = all.of('i', i),
                               .user_name = maybe({"alice", "bob", "undefined", ""}),
                               .group_name = maybe({"devs", "users"}),
                               .exe_path = maybe({"/bin/x", "/bin//x", "/bin/y"}),
                               .process_name = maybe({"x", "y", ""})});
    if (*rc::gen::inRange(0, 3) == 0) {
      out.identities->back().openmsp = {.unit = maybe({"a.service", "b.service"}),
                                        .cgroup = maybe({"/system.slice", "/system.slice/a.service"}),
                                        .container = maybe({"aa", "bb"})};
    }
  }
  return out;
}

RuleItem item() {
  RuleItem out{.default_access = *element<std::string>("allow", "Deny", "ALLOW", "allow "),
               .mode = *element<std::string>("enforce", "Audit", "disabled", "odd", "enforce"),
               .id = "r",
               .rules = sections()};
  switch (*rc::gen::inRange(0, 12)) {
    case 0:
      out.rules->identities.reset();
      break;
    case 1:
      out.rules.reset();
      break;
    default:
      break;
  }
  return out;
}

Caller caller() {
  return {.user = *element<std::string>("alice", "bob", "root", "", "undefined"),
          .uid = *rc::gen::inRange(0, 4) == 0 ? std::optional<std::uint32_t>(0) : std::nullopt,
          .groups = *element(Texts{}, Texts{"devs"}, Texts{"x", "users"}),
          .exe = *element<std::string>("", "/bin/x", "/bin/./y"),
          .process = *element<std::string>("", "x", "y"),
          .cgroup = *element<std::string>("", "/system.slice/a.service", "/system.slice"),
          .unit = *element<std::string>("", "", "b.service"),
          .container = *element<std::string>("", "", "aabb")};
}

void agrees_with_the_engine() {
  const bool has_rules = *rc::gen::inRange(0, 12) != 0;
  const RuleItem rules = item();
  const auto matching = *element(policy::Matching::kOff, policy::Matching::kShadow, policy::Matching::kEnforce,
                                 policy::Matching::kEnforce);
  policy::Snapshot snapshot;
  snapshot.matching = matching;
  if (has_rules) {
    snapshot.rules.fill(policy::RuleSet::compile(rules, matching));
  }
  const auto service = *element(Service::kImds, Service::kImds, Service::kWireServer, Service::kHostGaPlugin);
  identity::ConnectionIdentity who = make_caller(caller());
  if (*rc::gen::inRange(0, 4) == 0) {
    who.cgroup.reset();
  }
  who.more_groups = *rc::gen::inRange(0, 3) == 0;
  Asked asked;
  asked.ask(service, *rc::gen::inRange(0, 8) == 0 ? *element<std::string>("PUT", "get") : "GET", pick(kTargets));

  const Explanation found = explain(who, asked, has_rules ? &rules : nullptr, snapshot);
  RC_ASSERT(found.agrees());
  RC_ASSERT(!found.steps.empty() && found.steps.back().decides);
  if (found.judgement.verdicts.canonical != policy::Verdict::kNotRun) {
    const bool strict = matching == policy::Matching::kEnforce;
    RC_ASSERT((strict ? *found.deciding : *found.other).verdict == found.judgement.verdicts.canonical);
    RC_ASSERT((strict ? *found.other : *found.deciding).verdict == found.judgement.verdicts.legacy);
  }
  if (found.judgement.ground == policy::Ground::kRule && found.judgement.outcome == Outcome::kPermit) {
    RC_ASSERT(found.deciding->rules.front().distance == 0U);
  }
}

RC_GTEST_PROP(ExplainProperty, TheStepsEndWhereTheEngineDoes, ()) {
  for (int i = 0; i < 60; ++i) {
    agrees_with_the_engine();
  }
}

}  // namespace
}  // namespace msp::authoring
