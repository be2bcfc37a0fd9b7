// SPDX-License-Identifier: Apache-2.0
// Cost of canonicalising a typical URL, of a decision over growing rule sets in each matching mode, of compiling, and
// what a compiled rule takes. bench/policy.py reads the figures (scripts/bench policy).
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <functional>

#include "policy/engine.h"
#include "tests/support/policy_request.h"

namespace {

using namespace msp;

constexpr const char* kToken =
    "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";

/// Where the privileges are that the request does not match.
enum class Others { kOtherPaths, kSamePath };

/// `size` privileges, one of which the request needs; the caller is the eighth of its role's identities.
RuleItem rules(long size, Others others = Others::kOtherPaths, int callers = 8) {
  RuleItem item{.default_access = "deny", .mode = "enforce", .id = "bench", .rules = RuleSections()};
  auto& privileges = item.rules->privileges.emplace();
  for (long i = 1; i < size; ++i) {
    const std::string index = std::to_string(i);
    RulePrivilege& privilege = privileges.emplace_back();
    privilege.name = "p" + index;
    if (others == Others::kSamePath) {
      privilege.path = "/metadata/identity/oauth2/token";
      privilege.query_parameters = {{"resource", "https://vault" + index + ".example/"}};
    } else {
      privilege.path = "/metadata/service" + index + "/resource";
    }
  }
  privileges.push_back({.name = "token",
                        .path = "/metadata/identity/oauth2/token",
                        .query_parameters = {{"resource", "https://management.azure.com/"}}});
  item.rules->roles = {{{.name = "reader", .privileges = {"token"}}}};
  auto& identities = item.rules->identities.emplace();
  auto& assignment = item.rules->role_assignments.emplace().emplace_back();
  assignment.role = "reader";
  for (int i = 0; i < callers; ++i) {
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

void decide_as(benchmark::State& state, const identity::ConnectionIdentity& who, policy::Matching matching,
               const RuleItem& item, const std::string& target = kToken) {
  policy::Snapshot snapshot;
  snapshot.matching = matching;
  snapshot.rules.fill(policy::RuleSet::compile(item, matching));
  const test::PolicyRequest request(Service::kImds, "GET", target);
  for (auto _ : state) {
    policy::Decision decision = policy::decide(who, request.view(), snapshot);
    if (!std::holds_alternative<policy::Permit>(decision)) {
      state.SkipWithError("denied");
    }
    benchmark::DoNotOptimize(decision);
  }
}

void decide_over(benchmark::State& state, policy::Matching matching, const RuleItem& item) {
  decide_as(state, caller(), matching, item);
}

void decide(benchmark::State& state, policy::Matching matching) { decide_over(state, matching, rules(state.range(0))); }

void decide_same_path(benchmark::State& state) {
  decide_over(state, policy::Matching::kEnforce, rules(state.range(0), Others::kSamePath));
}

void decide_many_callers(benchmark::State& state) {
  decide_over(state, policy::Matching::kEnforce, rules(10, Others::kOtherPaths, static_cast<int>(state.range(0))));
}

/// As many roles hold the one privilege, each assigned to somebody else.
void decide_many_roles(benchmark::State& state) {
  RuleItem item = rules(10);
  for (long i = 0; i < state.range(0); ++i) {
    const std::string index = std::to_string(i);
    item.rules->roles->push_back({.name = "r" + index, .privileges = {"token"}});
    RuleIdentity& identity = item.rules->identities->emplace_back();
    identity.name = "other" + index;
    identity.user_name = "other-" + index;
    item.rules->role_assignments->push_back({.role = "r" + index, .identities = {identity.name}});
  }
  decide_over(state, policy::Matching::kEnforce, item);
}

/// As many privileges on the one path are for another method.
void decide_other_methods(benchmark::State& state) {
  RuleItem item = rules(10);
  for (long i = 0; i < state.range(0); ++i) {
    item.rules->privileges->push_back(
        {.name = "post" + std::to_string(i), .path = "/metadata/identity/oauth2/token", .query_parameters = {}});
    item.rules->privileges->back().openmsp.methods = {"POST"};
  }
  decide_over(state, policy::Matching::kEnforce, item);
}

/// As many users have a privilege, a role and an identity each, all for the one path.
void decide_each_its_own(benchmark::State& state) {
  RuleItem item = rules(10);
  for (long i = 0; i < state.range(0); ++i) {
    const std::string index = std::to_string(i);
    item.rules->privileges->push_back(
        {.name = "own" + index, .path = "/metadata/identity/oauth2/token", .query_parameters = {}});
    item.rules->roles->push_back({.name = "r" + index, .privileges = {"own" + index}});
    RuleIdentity& identity = item.rules->identities->emplace_back();
    identity.name = "other" + index;
    identity.user_name = "other-" + index;
    item.rules->role_assignments->push_back({.role = "r" + index, .identities = {identity.name}});
  }
  identity::ConnectionIdentity who = caller();
  who.user_name = "other-" + std::to_string(state.range(0) - 1);
  decide_as(state, who, policy::Matching::kEnforce, item);
}

using Query = decltype(RulePrivilege::query_parameters);

/// So many privileges more, all of one path; `query` gives what a row and a column of their square demand.
RuleItem with_grid(long size, const std::function<Query(long, long)>& query) {
  RuleItem item = rules(10);
  for (long i = 0; i * i < size; ++i) {
    for (long j = 0; j * j < size; ++j) {
      item.rules->privileges->push_back({.name = "grid" + std::to_string(i) + "-" + std::to_string(j),
                                         .path = "/metadata/identity/oauth2/token",
                                         .query_parameters = query(i, j)});
    }
  }
  return item;
}

RuleItem grid_of_two_keys(long size) {
  RuleItem item = with_grid(size, [](long i, long j) {
    return Query{{"resource", i == 0 ? "https://management.azure.com/" : "r" + std::to_string(i)},
                 {"api-version", j == 0 ? "2018-02-01" : "v" + std::to_string(j)}};
  });
  item.rules->roles->push_back({.name = "grid", .privileges = {"grid0-0"}});
  return item;
}

/// As many privileges of the path stand in a grid of two query keys.
void decide_grid(benchmark::State& state) {
  decide_over(state, policy::Matching::kEnforce, grid_of_two_keys(state.range(0)));
}

/// As many privileges of the path stand in a grid of two query keys, all of whose values the request repeats; what all
/// of them ask for besides it has not.
void decide_repeated(benchmark::State& state) {
  const RuleItem item = with_grid(state.range(0), [](long i, long j) {
    return Query{{"x", std::to_string(i)}, {"y", std::to_string(j)}, {"z", "1"}};
  });
  std::string target = kToken;
  for (int i = 0; i < 100; ++i) {
    target += "&x=" + std::to_string(i) + "&y=" + std::to_string(i);
  }
  decide_as(state, caller(), policy::Matching::kEnforce, item, target);
}

/// As many users are denied by user and executable; of the caller's container no name is known.
void decide_nameless(benchmark::State& state) {
  RuleItem item = rules(10);
  RuleAssignment denies{.role = "denied", .identities = {}};
  denies.openmsp.deny = true;
  item.rules->roles->push_back({.name = "denied", .privileges = {"token"}});
  for (long i = 0; i < state.range(0); ++i) {
    RuleIdentity& identity = item.rules->identities->emplace_back();
    identity.name = "denied" + std::to_string(i);
    identity.user_name = "denied-" + std::to_string(i);
    identity.exe_path = "/opt/denied/" + std::to_string(i);
    denies.identities.push_back(identity.name);
  }
  item.rules->role_assignments->push_back(std::move(denies));
  RuleIdentity& app = item.rules->identities->emplace_back();
  app.name = "app";
  app.exe_path = "/opt/app/bin/app";
  item.rules->role_assignments->push_back({.role = "reader", .identities = {"app"}});
  identity::ConnectionIdentity who = caller();
  who.user_name.clear();
  decide_as(state, who, policy::Matching::kEnforce, item);
}

/// A privilege, a role and an identity of somebody else.
RuleAssignment& add_other(RuleItem& item, const std::string& index, RulePrivilege privilege) {
  privilege.name = "other" + index;
  item.rules->privileges->push_back(std::move(privilege));
  item.rules->roles->push_back({.name = "r" + index, .privileges = {"other" + index}});
  RuleIdentity& identity = item.rules->identities->emplace_back();
  identity.name = "other" + index;
  identity.user_name = "other-" + index;
  return item.rules->role_assignments->emplace_back(RuleAssignment{.role = "r" + index, .identities = {identity.name}});
}

/// As many privileges of the path, each with a query key of its own that the request has not.
void decide_other_keys(benchmark::State& state) {
  RuleItem item = rules(10);
  for (long i = 0; i < state.range(0); ++i) {
    const std::string index = std::to_string(i);
    add_other(item, index,
              {.name = {}, .path = "/metadata/identity/oauth2/token", .query_parameters = {{"key" + index, "v"}}});
  }
  decide_over(state, policy::Matching::kEnforce, item);
}

/// As many privileges of others for other spellings of the path, which are one canonical path.
void decide_spellings(benchmark::State& state) {
  RuleItem item = rules(10);
  for (long i = 0; i < state.range(0); ++i) {
    const std::string index = std::to_string(i);
    add_other(item, index, {.name = {}, .path = "/metadata;" + index, .query_parameters = {}});
  }
  decide_over(state, policy::Matching::kEnforce, item);
}

/// As many privileges of the path that are granted to others as dry runs only.
void decide_dry_runs(benchmark::State& state) {
  RuleItem item = rules(10);
  for (long i = 0; i < state.range(0); ++i) {
    const std::string index = std::to_string(i);
    add_other(item, index, {.name = {}, .path = "/metadata/identity/oauth2/token", .query_parameters = {}})
        .openmsp.dry_run = true;
  }
  decide_over(state, policy::Matching::kEnforce, item);
}

/// As many dry runs of the path, all granted to the caller by identities of their own.
void decide_own_dry_runs(benchmark::State& state) {
  RuleItem item = rules(10);
  for (long i = 0; i < state.range(0); ++i) {
    const std::string index = std::to_string(i);
    add_other(item, index, {.name = {}, .path = "/metadata/identity/oauth2/token", .query_parameters = {}})
        .openmsp.dry_run = true;
    item.rules->identities->back().user_name = caller().user_name;
  }
  decide_over(state, policy::Matching::kEnforce, item);
}

/// As many denies of the path, of the caller in another executable each.
void decide_denies(benchmark::State& state) {
  RuleItem item = rules(10);
  for (long i = 0; i < state.range(0); ++i) {
    const std::string index = std::to_string(i);
    add_other(item, index, {.name = {}, .path = "/metadata/identity/oauth2/token", .query_parameters = {}})
        .openmsp.deny = true;
    item.rules->identities->back().user_name = caller().user_name;
    item.rules->identities->back().exe_path = "/opt/denied/" + index;
  }
  decide_over(state, policy::Matching::kEnforce, item);
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

void compile_item(benchmark::State& state, const RuleItem& item) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(policy::RuleSet::compile(item, policy::Matching::kEnforce));
  }
}

void compile(benchmark::State& state) { compile_item(state, rules(state.range(0))); }

void compile_grid(benchmark::State& state) { compile_item(state, grid_of_two_keys(state.range(0))); }

/// Each privilege takes nine values of one parameter.
void compile_values(benchmark::State& state) {
  compile_item(state, with_grid(state.range(0), [](long i, long j) {
                 std::string values;
                 for (int k = 0; k < 9; ++k) {
                   values +=
                       (k == 0 ? "" : "&") + std::to_string(i) + "-" + std::to_string(j) + "-" + std::to_string(k);
                 }
                 return Query{{"resource", values}};
               }));
}

/// Each privilege demands twelve parameters.
void compile_keys(benchmark::State& state) {
  compile_item(state, with_grid(state.range(0), [](long i, long j) {
                 Query query;
                 for (int k = 0; k < 12; ++k) {
                   query.emplace_back("key" + std::to_string(k), std::to_string(k % 2 == 0 ? i : j));
                 }
                 return query;
               }));
}

/// Five privileges of one path demand as many parameters each.
void compile_parameters(benchmark::State& state) {
  RuleItem item = rules(10);
  for (long i = 0; i < 5; ++i) {
    RulePrivilege& privilege = item.rules->privileges->emplace_back();
    privilege.name = "long" + std::to_string(i);
    privilege.path = "/metadata/long";
    for (long k = 0; k < state.range(0); ++k) {
      privilege.query_parameters.emplace_back("key" + std::to_string(k), std::to_string(i));
    }
  }
  compile_item(state, item);
}

std::size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// What stays allocated for a compiled set, in the allocator's own counting.
void memory(benchmark::State& state) {
  const RuleItem item = rules(state.range(0));
  std::size_t bytes = 0;
  for (auto _ : state) {
    const std::size_t before = allocated();
    const auto set = policy::RuleSet::compile(item, policy::Matching::kEnforce);
    bytes = allocated() - before;
  }
  state.counters["bytes_per_rule"] = static_cast<double>(bytes) / static_cast<double>(state.range(0));
}

BENCHMARK(canonicalise);
BENCHMARK(without_rules);
BENCHMARK_CAPTURE(decide, off, policy::Matching::kOff)->Arg(10)->Arg(10'000)->Arg(100'000);
BENCHMARK_CAPTURE(decide, shadow, policy::Matching::kShadow)->Arg(10)->Arg(10'000)->Arg(100'000);
BENCHMARK_CAPTURE(decide, enforce, policy::Matching::kEnforce)->Arg(10)->Arg(10'000)->Arg(100'000);
BENCHMARK(decide_same_path)->Arg(10)->Arg(1'000)->Arg(10'000);
BENCHMARK(decide_many_callers)->Arg(8)->Arg(1'000)->Arg(10'000);
BENCHMARK(decide_many_roles)->Arg(8)->Arg(10'000);
BENCHMARK(decide_other_methods)->Arg(8)->Arg(10'000);
BENCHMARK(decide_each_its_own)->Arg(8)->Arg(10'000)->Arg(100'000);
BENCHMARK(decide_grid)->Arg(9)->Arg(10'000);
BENCHMARK(decide_repeated)->Arg(9)->Arg(10'000);
BENCHMARK(decide_nameless)->Arg(8)->Arg(10'000)->Arg(100'000);
BENCHMARK(decide_other_keys)->Arg(8)->Arg(10'000)->Arg(100'000);
BENCHMARK(decide_spellings)->Arg(8)->Arg(10'000)->Arg(100'000);
BENCHMARK(decide_dry_runs)->Arg(8)->Arg(10'000)->Arg(100'000);
BENCHMARK(decide_own_dry_runs)->Arg(1'000)->Arg(10'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(decide_denies)->Arg(8)->Arg(10'000)->Arg(100'000);
BENCHMARK(compile)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(compile_grid)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(compile_values)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(compile_keys)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(compile_parameters)->Arg(2'000)->Arg(20'000)->Unit(benchmark::kMillisecond);
BENCHMARK(memory)->Arg(10'000)->Arg(100'000)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
