// SPDX-License-Identifier: Apache-2.0
// The power goes away at each moment of the host's database: it opens, what was answered is there, nothing is given out
// twice (docs/disk-faults.md). The real store, key ring and SQLite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "base/clock.h"
#include "base/file.h"
#include "gateway/key_ring.h"
#include "gateway/master_key.h"
#include "gateway/model_store.h"
#include "gateway/sqlite.h"
#include "tests/support/faults/power.h"

namespace msp::gateway {
namespace {

using faults::Promises;

constexpr std::size_t kMostPending = 2;
constexpr int kMachines = 3;

/// The host as app.cpp opens it, over a directory that may have gone through anything.
struct Host {
  Host(const std::string& directory, const std::array<std::uint32_t, kMachines>& incarnations) {
    open(directory, incarnations);
  }
  void open(const std::string& directory, const std::array<std::uint32_t, kMachines>& incarnations) {
    const std::string state = directory + "/lib/msp-host";
    const std::string path = state + "/host.db";
    ASSERT_TRUE(file::ensure_directory(state, 0700).ok());
    auto master = load_master_key(state + "/master.key", !std::filesystem::exists(path));
    ASSERT_TRUE(master.ok()) << master.error().text();
    for (int i = 0; i < kMachines; ++i) {
      VmModel model;
      model.name = "vm" + std::to_string(i);
      model.vm_id = "6f9619ff-8b86-4d01-b42d-00cf4fc9640" + std::to_string(i);
      model.proxy_agent.key_incarnation_id = incarnations.at(static_cast<std::size_t>(i));
      model.private_addresses = {{10, 0, 0, static_cast<std::uint8_t>(i + 4)}};
      ASSERT_TRUE(registry.add(std::move(*make_vm(std::move(model), {}))).ok());
    }
    auto opened = open_sqlite_store(path);
    ASSERT_TRUE(opened.ok()) << opened.error().text();
    store = std::move(*opened);
    auto ring = KeyRing::open(*store, std::move(*master), registry, clock, kMostPending);
    ASSERT_TRUE(ring.ok()) << ring.error().text();
    keys = std::move(*ring);
  }
  Vm& vm(int number) const { return *registry.all()[static_cast<std::size_t>(number)]; }

  FakeClock clock;
  VmRegistry registry;
  std::unique_ptr<HostStore> store;
  std::unique_ptr<KeyRing> keys;
};

/// What the promises add up to for one machine.
struct Known {
  std::uint32_t incarnation = 1;
  std::vector<std::string> pending;  ///< certainly there
  std::string latched;               ///< certainly
  std::string latching;              ///< perhaps
  std::set<std::string> ended;       ///< certainly dead, once the incarnation is entered
  std::set<std::string> all;
};

std::array<Known, kMachines> add_up(const Promises& promises) {
  std::array<Known, kMachines> machines;
  for (const std::string& promise : promises) {
    std::istringstream words(promise);
    std::string verb;
    std::size_t number = 0;
    std::string guid;
    words >> verb >> number >> guid;
    Known& vm = machines.at(number);
    if (verb == "issuing" && vm.pending.size() == kMostPending) {
      vm.pending.erase(vm.pending.begin());
    } else if (verb == "issued") {
      vm.pending.push_back(guid);
      vm.all.insert(guid);
    } else if (verb == "latching") {
      vm.pending.clear();
      vm.latching = guid;
    } else if (verb == "latched") {
      vm.latched = guid;
    } else if (verb == "raising") {
      vm = {.incarnation = vm.incarnation + 1,
            .pending = {},
            .latched = {},
            .latching = {},
            .ended = vm.all,
            .all = vm.all};
    }
  }
  return machines;
}

std::array<std::uint32_t, kMachines> incarnations(const std::array<Known, kMachines>& machines) {
  std::array<std::uint32_t, kMachines> all{};
  std::ranges::transform(machines, all.begin(), &Known::incarnation);
  return all;
}

std::string issue(Host& host, int number) {
  faults::mark("issuing " + std::to_string(number));
  auto issued = host.keys->issue(host.vm(number));
  EXPECT_TRUE(issued.ok() && issued->has_value());
  const std::string guid = (*issued)->guid;
  faults::mark("issued " + std::to_string(number) + " " + guid);
  return guid;
}

void latch(Host& host, int number, const std::string& guid) {
  faults::mark("latching " + std::to_string(number) + " " + guid);
  const auto outcome = host.keys->latch(host.vm(number), guid);
  ASSERT_TRUE(outcome.ok()) << outcome.error().text();
  ASSERT_EQ(*outcome, LatchOutcome::kLatched);
  faults::mark("latched " + std::to_string(number) + " " + guid);
}

/// First start, keys for all machines (more than are kept for one), latches, a clean end.
void first_life(const std::string& directory) {
  Host host(directory, {1, 1, 1});
  latch(host, 0, issue(host, 0));
  issue(host, 1);
  issue(host, 1);
  latch(host, 1, issue(host, 1));
  issue(host, 2);
}

/// Restarted with two machines reset; latched again; one without a clean end.
void second_life(const std::string& directory) {
  faults::mark("raising 0");
  faults::mark("raising 1");
  Host host(directory, {2, 2, 1});
  latch(host, 0, issue(host, 0));
  latch(host, 2, issue(host, 2));
  issue(host, 1);
}

void expect_sound(const std::string& directory) {
  const std::string path = directory + "/lib/msp-host/host.db";
  if (!std::filesystem::exists(path)) {
    return;
  }
  auto database = Database::open(path, 0x4d535048);
  ASSERT_TRUE(database.ok()) << database.error().text();
  auto check = database->prepare("PRAGMA integrity_check");
  ASSERT_TRUE(check.ok() && check->step().ok());
  EXPECT_EQ(check->text(0), "ok");
}

void judge_machine(Host& host, int number, const Known& known) {
  Vm& vm = host.vm(number);
  for (const std::string& guid : known.ended) {
    EXPECT_EQ(host.keys->find(guid), nullptr) << "a key of an earlier incarnation";
  }
  if (!known.latched.empty()) {
    ASSERT_NE(vm.latched, nullptr) << "an answered latch is lost";
    EXPECT_EQ(vm.latched->guid, known.latched);
  }
  if (vm.latched != nullptr) {
    EXPECT_TRUE(vm.latched->guid == known.latched || vm.latched->guid == known.latching) << vm.latched->guid;
    const auto second = host.keys->issue(vm);
    EXPECT_TRUE(second.ok() && !second->has_value()) << "no second key while one is latched";
    return;
  }
  for (const std::string& guid : known.pending) {
    EXPECT_NE(host.keys->find(guid), nullptr) << "an answered key is unknown";
  }
  // The agent that has attested and got no answer repeats it: the way out.
  const LiveKey* key = host.keys->find(known.latching);
  if (key == nullptr) {
    EXPECT_EQ(known.latching, "") << "answered, not latched, and gone";
    const auto fresh = host.keys->issue(vm);
    ASSERT_TRUE(fresh.ok() && fresh->has_value());
    EXPECT_FALSE(known.all.contains((*fresh)->guid));
    EXPECT_EQ(*host.keys->latch(vm, (*fresh)->guid), LatchOutcome::kLatched);
  } else {
    EXPECT_EQ(*host.keys->latch(vm, known.latching), LatchOutcome::kLatched);
  }
}

void judge(const std::string& directory, const Promises& promises) {
  expect_sound(directory);
  const auto machines = add_up(promises);
  Host host(directory, incarnations(machines));
  if (testing::Test::HasFatalFailure()) {
    return;
  }
  for (int number = 0; number < kMachines; ++number) {
    judge_machine(host, number, machines.at(static_cast<std::size_t>(number)));
  }
}

void check_tally(const faults::PowerTally& tally) { EXPECT_GT(tally.states, 200U); }

TEST(HostPower, FirstStartIssueAndLatch) {
  check_tally(faults::run(
      {.name = "first life of the host", .prepare = [](const std::string&) {}, .act = first_life, .judge = judge}));
}

TEST(HostPower, RestartResetAndLatchAgain) {
  check_tally(faults::run({.name = "two lives of the host",
                           .prepare = [](const std::string&) {},
                           .act =
                               [](const std::string& directory) {
                                 first_life(directory);
                                 second_life(directory);
                               },
                           .judge = judge}));
}

/// Writes into the database file itself from this event on.
std::size_t checkpointed(std::size_t from) {
  std::set<int> database;
  std::size_t count = 0;
  for (std::size_t i = 0; i < faults::journal().size(); ++i) {
    const faults::Event& event = faults::journal()[i];
    if (event.kind == faults::Event::Kind::kOpen && event.path.ends_with("/host.db")) {
      database.insert(event.fd);
    } else if (event.kind == faults::Event::Kind::kClose) {
      database.erase(event.fd);
    } else if (event.kind == faults::Event::Kind::kWrite && database.contains(event.fd) && i >= from) {
      ++count;
    }
  }
  return count;
}

/// Long enough for the log to be taken into the database while the host runs.
TEST(HostPower, ALongLifeWithACheckpoint) {
  std::size_t writes_to_database = 0;
  const faults::PowerLoss loss{.name = "a long life of the host",
                               .prepare = [](const std::string&) {},
                               .act =
                                   [&](const std::string& directory) {
                                     Host host(directory, {1, 1, 1});
                                     latch(host, 0, issue(host, 0));
                                     const std::size_t begin = faults::journal().size();
                                     for (int i = 0; i < 260; ++i) {
                                       issue(host, 1);
                                     }
                                     writes_to_database = checkpointed(begin);
                                   },
                               .judge = judge};
  const bool all = std::getenv("MSP_POWER_SEEDS") != nullptr;
  const auto tally = faults::lose_power(loss, all ? 1 : 23);
  std::printf("%s: %zu events on the disk, %zu states after a power loss; %zu pages checkpointed while it ran\n",
              loss.name.c_str(), tally.events, tally.states, writes_to_database);
  EXPECT_GT(writes_to_database, 0U);
  check_tally(tally);
}

/// The power goes away again while the host recovers from the first loss.
TEST(HostPower, LostAgainDuringRecovery) {
  faults::PowerTally inner;
  std::size_t outer = 0;
  const faults::PowerLoss loss{
      .name = "two losses",
      .prepare = [](const std::string&) {},
      .act = first_life,
      .judge =
          [&](const std::string& left, const Promises& promises) {
            const auto machines = add_up(promises);
            const auto tally = faults::lose_power(
                {.name = "recovery",
                 .prepare =
                     [&](const std::string& directory) {
                       std::filesystem::copy(left, directory,
                                             std::filesystem::copy_options::recursive |
                                                 std::filesystem::copy_options::overwrite_existing);
                     },
                 .act = [&](const std::string& directory) { Host(directory, incarnations(machines)); },
                 .judge = [&](const std::string& directory, const Promises&) { judge(directory, promises); }},
                5);
            inner.states += tally.states;
            ++outer;
          }};
  const auto tally = faults::lose_power(loss, 23);
  std::printf("%s: %zu states after the first, %zu after a second one during the recovery of %zu\n", loss.name.c_str(),
              tally.states, inner.states, outer);
  EXPECT_GT(inner.states, 200U);
}

}  // namespace
}  // namespace msp::gateway
