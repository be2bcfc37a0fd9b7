// SPDX-License-Identifier: Apache-2.0
// The host's database on a disk that fails at each file call of SQLite's and ours: what was answered holds, nothing is
// given out twice, whose fault it is stands in the error, and the same process goes on once the disk is well
// (docs/disk-faults.md). The real store, key ring and SQLite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/file.h"
#include "gateway/key_ring.h"
#include "gateway/master_key.h"
#include "gateway/model_store.h"
#include "gateway/sqlite.h"
#include "tests/support/faults/campaign.h"

namespace msp::gateway {
namespace {

using faults::Fault;

constexpr std::size_t kMostPending = 2;
constexpr int kMachines = 2;
const std::string kLarge(600, 'x');

std::string state_in(const std::string& top) { return top + "/msp-host"; }
std::string database_in(const std::string& top) { return state_in(top) + "/host.db"; }

/// What the host has answered; what it could not answer may have happened or not.
struct Answered {
  std::array<std::string, kMachines> latched;
  std::array<std::string, kMachines> latching;
  std::array<std::vector<std::string>, kMachines> pending;
  std::set<std::string> issued;
  std::string model;             ///< that was applied last
  std::set<std::string> models;  ///< that may be there
};

/// The host as app.cpp opens it.
class Host {
 public:
  Result<void> open(const std::string& top) {
    if (auto made = file::ensure_directory(state_in(top), 0700); !made) {
      return made;
    }
    auto first = is_first_start(database_in(top));
    auto master = first ? load_master_key(state_in(top) + "/master.key", *first) : std::move(first).error();
    if (!master) {
      return std::move(master).error();
    }
    auto opened = open_sqlite_store(database_in(top));
    if (!opened) {
      return std::move(opened).error();
    }
    store = std::move(*opened);
    for (int i = 0; i < kMachines; ++i) {
      VmModel model;
      model.name = "vm" + std::to_string(i);
      model.vm_id = "6f9619ff-8b86-4d01-b42d-00cf4fc9640" + std::to_string(i);
      model.proxy_agent.key_incarnation_id = 1;
      model.private_addresses = {{10, 0, 0, static_cast<std::uint8_t>(i + 4)}};
      EXPECT_TRUE(registry.add(std::move(*make_vm(std::move(model), {}))).ok());
    }
    auto ring = KeyRing::open(*store, std::move(*master), registry, clock, kMostPending);
    if (!ring) {
      return std::move(ring).error();
    }
    keys = std::move(*ring);
    return {};
  }
  Vm& vm(int number) const { return *registry.all()[static_cast<std::size_t>(number)]; }

  Result<void> issue(int number, Answered& answered) const {
    auto issued = keys->issue(vm(number));
    if (!issued) {
      return std::move(issued).error();
    }
    const auto at = static_cast<std::size_t>(number);
    if (!answered.latched.at(static_cast<std::size_t>(number)).empty()) {
      EXPECT_FALSE(issued->has_value()) << "a second key beside a latched one";
      return {};
    }
    if (!issued->has_value()) {
      return bug("no key, though none was latched");
    }
    const std::string guid = (*issued)->guid;
    EXPECT_TRUE(answered.issued.insert(guid).second) << "handed out twice";
    auto& pending = answered.pending.at(at);
    pending.push_back(guid);
    if (pending.size() > kMostPending) {
      pending.erase(pending.begin());
    }
    return {};
  }
  Result<void> latch(int number, Answered& answered) const {
    const auto at = static_cast<std::size_t>(number);
    const auto& pending = answered.pending.at(at);
    if (pending.empty()) {
      return {};  // its key was never answered
    }
    if (std::ranges::find(pending, answered.latching.at(at)) == pending.end()) {
      answered.latching.at(at) = pending.back();  // none yet, or it has had to go for newer ones
    }
    const auto outcome = keys->latch(vm(number), answered.latching.at(at));
    if (!outcome) {
      return outcome.error();
    }
    EXPECT_TRUE(*outcome == LatchOutcome::kLatched || *outcome == LatchOutcome::kAlready);
    answered.latched.at(at) = answered.latching.at(at);
    answered.pending.at(at).clear();
    return {};
  }
  Result<void> apply(const std::string& text, Answered& answered) const {
    answered.models.insert(text);
    auto done =
        store->change({.put = {{.name = {.kind = ResourceKind::kProfile, .key = "p"}, .text = text, .addresses = {}}}});
    if (done) {
      answered.model = text;
      answered.models = {text};
    }
    return done;
  }
  Result<void> back_up() const {
    auto backup = store->begin_backup();
    if (!backup) {
      return std::move(backup).error();
    }
    for (int steps = 0; steps < 100; ++steps) {
      auto whole = (*backup)->step();
      if (!whole || *whole) {
        auto bytes = whole ? (*backup)->bytes() : std::move(whole).error();
        EXPECT_TRUE(!bytes || bytes->starts_with("SQLite format 3")) << "whole, or none";
        return bytes ? Result<void>() : std::move(bytes).error();
      }
    }
    return bug("the backup has no end");
  }

  FakeClock clock;
  VmRegistry registry;
  std::unique_ptr<HostStore> store;
  std::unique_ptr<KeyRing> keys;
};

using Step = std::function<Result<void>(const Host& host, Answered& answered)>;
const std::vector<Step> kDay{
    [](const Host& host, Answered& answered) { return host.issue(0, answered); },
    [](const Host& host, Answered& answered) { return host.latch(0, answered); },
    [](const Host& host, Answered& answered) { return host.issue(1, answered); },
    [](const Host& host, Answered& answered) { return host.issue(1, answered); },
    [](const Host& host, Answered& answered) { return host.issue(1, answered); },  // the first one goes
    [](const Host& host, Answered& answered) { return host.apply("first" + kLarge, answered); },
    [](const Host& host, Answered& answered) { return host.latch(1, answered); },
    [](const Host& host, Answered& answered) { return host.apply("second" + kLarge, answered); },
    [](const Host& host, Answered&) { return host.back_up(); },
};

/// What a person or an agent reads of it.
void expect_clear(const Error& error) {
  EXPECT_NE(error.source, Source::kBug) << error.text();
  EXPECT_THAT(error.text(), testing::HasSubstr("/msp-faults-")) << "names the file";
  EXPECT_FALSE(error.hint.empty()) << "says what to do: " << error.text();
}

/// In one process: what failed works as soon as the disk is well, and what had been answered still holds.
Result<void> live(const std::string& top, Answered& answered) {
  Host host;
  if (auto opened = host.open(top); !opened) {
    expect_clear(opened.error());
    return opened;
  }
  Result<void> first;
  std::vector<const Step*> failed;
  for (const Step& step : kDay) {
    if (auto done = step(host, answered); !done) {
      expect_clear(done.error());
      failed.push_back(&step);
      first = first.ok() ? done : first;
    }
  }
  if (!failed.empty()) {
    faults::plan().effect = faults::kNone;
    for (const Step* step : failed) {
      if (auto done = (*step)(host, answered); !done) {
        ADD_FAILURE() << "not even when the disk is well: " << done.error().text();
      }
    }
  }
  return first;
}

void judge_machine(const Host& host, int number, const Answered& answered) {
  const auto at = static_cast<std::size_t>(number);
  Vm& vm = host.vm(number);
  if (!answered.latched.at(at).empty()) {
    ASSERT_NE(vm.latched, nullptr) << "an answered latch is lost";
    EXPECT_EQ(vm.latched->guid, answered.latched.at(at));
    const auto second = host.keys->issue(vm);
    EXPECT_TRUE(second.ok() && !second->has_value()) << "no second key beside a latched one";
    return;
  }
  if (vm.latched != nullptr) {
    EXPECT_EQ(vm.latched->guid, answered.latching.at(at));
    return;
  }
  for (const std::string& guid : answered.pending.at(at)) {
    EXPECT_NE(host.keys->find(guid), nullptr) << "an answered key is unknown";
  }
  const auto fresh = host.keys->issue(vm);
  ASSERT_TRUE(fresh.ok() && fresh->has_value());
  EXPECT_FALSE(answered.issued.contains((*fresh)->guid));
  EXPECT_EQ(*host.keys->latch(vm, (*fresh)->guid), LatchOutcome::kLatched);
}

/// The next start, on a disk that is well.
void judge(const std::string& top, const Answered& answered) {
  Host host;
  auto opened = host.open(top);
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  for (int number = 0; number < kMachines; ++number) {
    judge_machine(host, number, answered);
  }
  const auto resources = host.store->resources();
  ASSERT_TRUE(resources.ok());
  const std::string model = resources->empty() ? std::string() : resources->front().text;
  EXPECT_TRUE(model == answered.model || answered.models.contains(model)) << "half a change";
}

TEST(HostFaults, FirstStartAndADay) {
  Answered answered;
  const auto tally =
      faults::run({.name = "first start and a day of the host",
                   .prepare = [&](const std::string&) { answered = {}; },
                   .act = [&](const std::string& top) { return live(top, answered); },
                   .judge = [&](const std::string& top, const Fault&, const Result<void>&) { judge(top, answered); }});
  EXPECT_GT(tally.calls, 100U);
  EXPECT_GT(tally.runs, 9 * tally.calls) << "of twelve faults; three concern few calls";
  EXPECT_GT(tally.refused, 100U);
}

/// With a log that was left by a killed host: it is read again, and folded into the database at the end.
TEST(HostFaults, RestartAfterAKill) {
  Answered before;
  Answered answered;
  const auto tally =
      faults::run({.name = "restart of a killed host",
                   .prepare =
                       [&](const std::string& top) {
                         before = answered = {};
                         std::filesystem::create_directory(top + "/alive");
                         Host host;
                         ASSERT_TRUE(host.open(top + "/alive").ok());
                         for (std::size_t i = 0; i < 6; ++i) {
                           ASSERT_TRUE(kDay[i](host, before).ok());
                         }
                         // As it lies there while it runs is as kill -9 leaves it.
                         std::filesystem::copy(state_in(top + "/alive"), state_in(top));
                         std::filesystem::permissions(state_in(top), std::filesystem::perms::owner_all);
                       },
                   .act = [&](const std::string& top) -> Result<void> {
                     answered = before;
                     Host host;
                     auto opened = host.open(top);
                     if (!opened) {
                       expect_clear(opened.error());
                       return opened;
                     }
                     auto latched = host.latch(1, answered);
                     if (!latched) {
                       expect_clear(latched.error());
                     }
                     return latched;
                   },
                   .judge = [&](const std::string& top, const Fault&, const Result<void>&) { judge(top, answered); }});
  EXPECT_GT(tally.calls, 40U);
  EXPECT_GT(tally.refused, 40U);
}

/// A log that has grown to a thousand pages is folded in while the host runs: whatever fails of that, the change holds.
TEST(HostFaults, CheckpointWhileItRuns) {
  Answered answered;
  const faults::Campaign campaign{
      .name = "checkpoint while it runs",
      .prepare = [&](const std::string&) { answered = {}; },
      .act = [&](const std::string& top) -> Result<void> {
        Host host;
        auto opened = host.open(top);
        if (!opened) {
          return opened;
        }
        EXPECT_TRUE(host.issue(0, answered).ok() && host.latch(0, answered).ok());
        faults::mark("checkpoint");
        auto done = host.apply(std::string(std::size_t{4'300'000}, 'y'), answered);
        auto next = host.apply("small" + kLarge, answered);
        if (!next) {
          expect_clear(next.error());
          faults::plan().effect = faults::kNone;
          EXPECT_TRUE(host.apply("small" + kLarge, answered).ok());
        }
        return done;
      },
      .judge = [&](const std::string& top, const Fault&, const Result<void>&) { judge(top, answered); }};
  const auto names = faults::calls_of(campaign).names;
  ASSERT_GT(names.size(), 2'500U) << "it writes the log, then the database";
  faults::Tally tally{.calls = names.size()};
  log::set_level(log::Level::kBug);
  const std::size_t stride = names.size() / 7;
  for (const Fault& fault : faults::every_fault()) {
    for (std::size_t at = stride / 2; at < names.size(); at += stride) {
      SCOPED_TRACE("call " + std::to_string(at) + " (" + names[at] + "): " + fault.name);
      faults::run_one(campaign, fault, at, tally);
    }
  }
  log::set_level(log::Level::kInfo);
  std::printf("%s: %zu calls, %zu runs with a fault, %zu refused\n", campaign.name.c_str(), tally.calls, tally.runs,
              tally.refused);
}

}  // namespace
}  // namespace msp::gateway
