// SPDX-License-Identifier: Apache-2.0
// `decide` takes no memory on the hot path: a program of its own, because it counts every operator new.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <span>

#include "tests/support/policy_request.h"

namespace {
std::atomic<long> g_count = 0;
}  // namespace

// NOLINTBEGIN: replaces the global allocator on purpose.
void* operator new(std::size_t size) {
  ++g_count;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) {
    return memory;
  }
  std::abort();
}
void* operator new(std::size_t size, std::align_val_t align) {
  ++g_count;
  const auto unit = static_cast<std::size_t>(align);
  if (void* memory = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) {
    return memory;
  }
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
// NOLINTEND

namespace msp::policy {
namespace {

RuleItem many_rules() {
  RuleItem item{.default_access = "deny", .mode = "enforce", .id = "r1", .rules = RuleSections()};
  auto& privileges = item.rules->privileges.emplace();
  auto& role = item.rules->roles.emplace().emplace_back();
  role.name = "reader";
  for (int i = 0; i < 500; ++i) {
    const std::string name = "p" + std::to_string(i);
    privileges.push_back({.name = name, .path = "/metadata/service" + std::to_string(i), .query_parameters = {}});
    role.privileges.push_back(name);
  }
  privileges.push_back({.name = "token",
                        .path = "/metadata/identity/oauth2/token",
                        .query_parameters = {{"resource", "https://management.azure.com/"}}});
  role.privileges.emplace_back("token");
  RuleIdentity& identity = item.rules->identities.emplace().emplace_back();
  identity.name = "app";
  identity.user_name = "svc-application-with-a-long-name";
  identity.exe_path = "/opt/application/bin/app";
  item.rules->role_assignments = {{{.role = "reader", .identities = {"app"}}}};
  return item;
}

/// The same with all that is ours: methods, places, denies and dry runs.
RuleItem many_rules_of_ours() {
  RuleItem item = many_rules();
  for (RulePrivilege& privilege : *item.rules->privileges) {
    privilege.openmsp.methods = {"GET", "HEAD"};
  }
  RuleIdentity& app = item.rules->identities->front();
  app.openmsp = {.unit = "application-with-a-long-name.service",
                 .cgroup = "/system.slice/application-with-a-long-name.service"};
  RuleIdentity& other = item.rules->identities->emplace_back();
  other.name = "other";
  other.user_name = "yet-somebody-else-with-a-long-name";
  other.group_name = "a-group-with-a-long-name-that-nobody-has";
  for (const bool dry_run : {false, true}) {
    item.rules->role_assignments->push_back(
        {.role = "reader", .identities = {"other"}, .openmsp = {.deny = true, .dry_run = dry_run}});
    item.rules->role_assignments->push_back(
        {.role = "reader", .identities = {"app"}, .openmsp = {.deny = false, .dry_run = dry_run}});
  }
  return item;
}

identity::ConnectionIdentity caller(std::string user) {
  identity::ConnectionIdentity out;
  out.known = true;
  out.user_name = std::move(user);
  out.exe_rule_paths = {"/opt/application/bin/app"};
  for (int i = 0; i < 20; ++i) {
    out.group_names.push_back("group" + std::to_string(i));
  }
  out.cgroup = std::make_shared<const identity::CgroupPlace>(
      identity::place_in("/system.slice/application-with-a-long-name.service/worker"));
  return out;
}

/// Allocations while all targets are decided for both callers.
long allocations(const RuleItem& item, Matching matching, std::span<test::PolicyRequest* const> requests) {
  Snapshot snapshot;
  snapshot.matching = matching;
  snapshot.rules.fill(RuleSet::compile(item, matching));
  const identity::ConnectionIdentity app = caller("svc-application-with-a-long-name");
  const identity::ConnectionIdentity other = caller("somebody-else-with-a-long-name");
  const long before = g_count;
  for (const test::PolicyRequest* request : requests) {
    for (const identity::ConnectionIdentity* who : {&app, &other}) {
      const Decision decision = decide(*who, request->view(), snapshot);
      EXPECT_FALSE(decision.valueless_by_exception());
    }
  }
  return g_count - before;
}

TEST(Allocation, DecideTakesNone) {
  test::PolicyRequest token(
      Service::kImds, "GET",
      "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F"
      "&client_id=00000000-0000-0000-0000-000000000000&mi_res_id=%2Fsubscriptions%2Fx%2FresourceGroups%2Fy");
  test::PolicyRequest plain(Service::kImds, "GET", "/Metadata/Service77?api-version=2021-02-01");
  test::PolicyRequest miss(Service::kImds, "GET", "/machine?comp=goalstate");
  test::PolicyRequest malformed(Service::kImds, "GET", "/metadata/%zz/caf%C3%A9%ff");
  const std::string long_path = "/metadata/service1/" + std::string(2000, 'x');
  test::PolicyRequest lengthy(Service::kImds, "GET", long_path);
  test::PolicyRequest* const all[] = {&token, &plain, &miss, &malformed, &lengthy};
  for (const Matching matching : {Matching::kOff, Matching::kShadow, Matching::kEnforce}) {
    SCOPED_TRACE(to_string(matching));
    EXPECT_EQ(allocations(many_rules(), matching, all), 0);
    EXPECT_EQ(allocations(many_rules_of_ours(), matching, all), 0);
    EXPECT_EQ(RuleSet::compile(many_rules_of_ours(), matching)->unusable(), "");
  }
}

TEST(Allocation, NorForTheLargestTargetsAndForCallersOfManyNames) {
  RuleItem item = many_rules();
  item.rules->role_assignments->front().identities.clear();
  for (int i = 0; i < 5000; ++i) {
    RuleIdentity& identity = item.rules->identities->emplace_back();
    identity.name = "app" + std::to_string(i);
    identity.user_name = "svc-application-with-a-long-name";
    item.rules->role_assignments->front().identities.push_back(identity.name);
  }
  test::PolicyRequest path(Service::kImds, "GET", "/metadata/service1/" + std::string(60'000, 'x'));
  test::PolicyRequest escapes(Service::kImds, "GET", "/metadata/service1/" + std::string(20'000, 'X') + "%C4%B0%20");
  test::PolicyRequest value(Service::kImds, "GET", "/metadata/service1?api-version=" + std::string(60'000, 'x'));
  std::string query = "/metadata/service1?";
  for (int i = 0; i < 1000; ++i) {
    query += "key" + std::to_string(i) + "=%41value&";
  }
  test::PolicyRequest pairs(Service::kImds, "GET", query);
  test::PolicyRequest* const all[] = {&path, &escapes, &value, &pairs};
  for (const Matching matching : {Matching::kOff, Matching::kShadow, Matching::kEnforce}) {
    SCOPED_TRACE(to_string(matching));
    EXPECT_EQ(allocations(item, matching, all), 0);
  }
}

TEST(Allocation, TheCounterIsAlive) {
  std::string query = "/metadata/identity/oauth2/token?";
  for (int i = 0; i < 30'000; ++i) {
    query += "a&";
  }
  test::PolicyRequest request(Service::kImds, "GET", query);
  test::PolicyRequest* const all[] = {&request};
  EXPECT_GT(allocations(many_rules(), Matching::kOff, all), 0);
}

}  // namespace
}  // namespace msp::policy
