// SPDX-License-Identifier: Apache-2.0
// Random lives of a machine and its host (docs/channel.md, "Simulation"): the invariants hold after every event, and
// what can be latched is latched in time once the faults end.
// MSP_SIM_EVENTS: how many events (ordinary run 20,000; the long run 300,000). MSP_SIM_SEED repeats a run.
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

TEST(ChannelSimulation, NothingUnsignedNoSecondLatchAndLatchedAgainInTime) {
  const std::uint64_t events = number("MSP_SIM_EVENTS", 20'000);
  const std::uint64_t seed = number("MSP_SIM_SEED", 20'261'128);
  log::set_level(log::Level::kBug);
  // In memory: the database and the key files are written and synced thousands of times.
  std::string directory = std::filesystem::exists("/dev/shm") ? "/dev/shm/msp-sim-XXXXXX" : "/tmp/msp-sim-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  {
    sim::World world(directory, seed);
    fmt::print("seed {}, {} events\n", seed, events);
    world.run(events);
    const sim::Tally& tally = world.tally();
    fmt::print("{} events, {} latches, {} calms, {} resets of what was stuck\n", tally.events, tally.latches,
               tally.calms, tally.resets);
    fmt::print("latched after the faults: {} ms at most, {} ms where a refused agent was backing off\n",
               tally.slowest_ms, tally.slowest_after_backoff_ms);
    for (const auto& [what, count] : tally.happened) {
      fmt::print("  {}: {}\n", what, count);
    }
    EXPECT_GT(tally.latches, events / 1'000);
    EXPECT_GT(tally.calms, events / 1'000);
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace msp
