// SPDX-License-Identifier: Apache-2.0
// Random lives of a machine and its host (docs/channel.md, "Simulation"): the invariants hold after every event, and
// what can be latched is latched in time once the faults end.
// MSP_SIM_EVENTS: how many events (ordinary run 20,000; the long run 300,000), MSP_SIM_LIVES: how many lives (4), of
// which the first is the longest. MSP_SIM_DAYS: with a rotation each
// (730). MSP_SIM_SEED repeats a run.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/log.h"
#include "tests/component/sim_world.h"

namespace msp {
namespace {

std::uint64_t number(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// In memory: the database and the key files are written and synced thousands of times.
class Directory {
 public:
  Directory() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_ = std::filesystem::exists("/dev/shm") ? "/dev/shm/msp-sim-XXXXXX" : "/tmp/msp-sim-XXXXXX";
};

void live(std::uint64_t seed, std::uint64_t events) {
  const Directory directory;
  sim::World world(directory.path(), seed);
  fmt::print("seed {}, {} events\n", seed, events);
  world.run(events);
  const sim::Tally& tally = world.tally();
  fmt::print("{} events, {} latches, {} calms, {} resets of what was stuck\n", tally.events, tally.latches, tally.calms,
             tally.resets);
  fmt::print("latched after the faults: {} ms at most, {} ms where a refused agent was backing off\n", tally.slowest_ms,
             tally.slowest_after_backoff_ms);
  for (const auto& [what, count] : tally.happened) {
    fmt::print("  {}: {}\n", what, count);
  }
  EXPECT_GT(tally.latches, events / 1'000);
  EXPECT_GT(tally.calms, events / 1'000);
}

TEST(ChannelSimulation, NothingUnsignedNoSecondLatchAndLatchedAgainInTime) {
  const std::uint64_t events = number("MSP_SIM_EVENTS", 20'000);
  const std::uint64_t seed = number("MSP_SIM_SEED", 20'261'128);
  log::set_level(log::Level::kBug);
  live(seed, events);
  // Each life has its own luck.
  for (std::uint64_t more = 1; more < number("MSP_SIM_LIVES", 4); ++more) {
    live(seed + more, events / 4);
  }
}

TEST(ChannelSimulation, ARotationADayRefusesNothing) {
  const std::uint64_t days = number("MSP_SIM_DAYS", 730);
  const std::uint64_t seed = number("MSP_SIM_SEED", 20'261'129);
  log::set_level(log::Level::kBug);
  const Directory directory;
  sim::World world(directory.path(), seed);
  world.live_with_rotations(days);
  fmt::print("seed {}: {} days, {} latches, {} events, at most {} key files in the guest\n", seed, days,
             world.tally().latches, world.tally().events, world.most_key_files());
  EXPECT_EQ(world.tally().latches, days + 1);
  EXPECT_LE(world.most_key_files(), 9U);
}

}  // namespace
}  // namespace msp
