// SPDX-License-Identifier: Apache-2.0
// Cost of canonicalising a typical URL, and of a decision over growing rule sets, in each matching mode.
#include <benchmark/benchmark.h>

#include "policy/engine.h"
#include "tests/support/policy_request.h"

namespace {

using namespace msp;

constexpr const char* kToken =
    "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";

/// `size` privileges beside the one that the request needs; the caller is the last of a role's eight identities.
RuleItem rules(long size) {
  RuleItem item{.default_access = "deny", .mode = "enforce", .id = "bench", .rules = RuleSections()};
  auto& privileges = item.rules->privileges.emplace();
  for (long i = 0; i < size; ++i) {
    privileges.push_back({.name = "p" + std::to_string(i),
                          .path = "/metadata/service" + std::to_string(i) + "/resource",
                          .query_parameters = {}});
  }
  privileges.push_back({.name = "token",
                        .path = "/metadata/identity/oauth2/token",
                        .query_parameters = {{"resource", "https://management.azure.com/"}}});
  item.rules->roles = {{{.name = "reader", .privileges = {"token"}}}};
  auto& identities = item.rules->identities.emplace();
  auto& assignment = item.rules->role_assignments.emplace().emplace_back();
  assignment.role = "reader";
  for (int i = 0; i < 8; ++i) {
    RuleIdentity& identity = identities.emplace_back();
    identity.name = "i" + std::to_string(i);
    identity.user_name = "service-" + std::to_string(i);
    identity.exe_path = "/opt/app/bin/app";
    assignment.identities.push_back(identity.name);
  }
  return item;
}

identity::ConnectionIdentity caller() {
  identity::ConnectionIdentity out;
  out.known = true;
  out.user_name = "service-7";
  out.group_names = {"service", "adm", "ssl-cert"};
  out.exe_rule_paths = {"/opt/app/bin/app"};
  return out;
}

void decide(benchmark::State& state, policy::Matching matching) {
  policy::Snapshot snapshot;
  snapshot.matching = matching;
  snapshot.rules.fill(policy::RuleSet::compile(rules(state.range(0)), matching));
  const test::PolicyRequest request(Service::kImds, "GET", kToken);
  const identity::ConnectionIdentity who = caller();
  for (auto _ : state) {
    policy::Decision decision = policy::decide(who, request.view(), snapshot);
    if (!std::holds_alternative<policy::Permit>(decision)) {
      state.SkipWithError("denied");
    }
    benchmark::DoNotOptimize(decision);
  }
}

void canonicalise(benchmark::State& state) {
  request::Arena arena;
  const auto target = http::parse_target(kToken);
  for (auto _ : state) {
    arena.reset();
    request::CanonicalRequest canonical;
    benchmark::DoNotOptimize(request::canonicalize("GET", *target, arena, canonical));
  }
}

void without_rules(benchmark::State& state) {
  const policy::Snapshot snapshot;
  const test::PolicyRequest request(Service::kImds, "GET", kToken);
  const identity::ConnectionIdentity who = caller();
  for (auto _ : state) {
    policy::Decision decision = policy::decide(who, request.view(), snapshot);
    benchmark::DoNotOptimize(decision);
  }
}

BENCHMARK(canonicalise);
BENCHMARK(without_rules);
BENCHMARK_CAPTURE(decide, off, policy::Matching::kOff)->Arg(0)->Arg(100)->Arg(10'000)->Arg(100'000);
BENCHMARK_CAPTURE(decide, enforce, policy::Matching::kEnforce)->Arg(0)->Arg(100)->Arg(10'000)->Arg(100'000);

}  // namespace

BENCHMARK_MAIN();
