// SPDX-License-Identifier: Apache-2.0
// Takes the power away after each thing that a piece of code did to the disk, and hands what is left to a judge.
// For tests; one thread. MSP_POWER_SEEDS: how many random losses at each point (ordinary run 1).
// The judge sees what the code had promised by then: the marks of faults::mark().
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "tests/support/faults/campaign.h"
#include "tests/support/faults/crash_disk.h"

namespace msp::faults {

/// By the order in which they were made.
using Promises = std::vector<std::string>;

struct PowerLoss {
  std::string name;
  std::function<void(const std::string& directory)> prepare;  ///< what is on the disk already
  std::function<void(const std::string& directory)> act;
  std::function<void(const std::string& directory, const Promises&)> judge;
  std::string only = {};  ///< the directory at the top that is on the machine without power; empty: all is
};

struct PowerTally {
  std::size_t events = 0;
  std::size_t states = 0;
};

inline std::map<std::string, std::string> content_of(const std::string& directory) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    all[std::filesystem::relative(entry.path(), directory)] =
        entry.is_directory() ? "directory" : std::string(std::istreambuf_iterator<char>(file), {});
  }
  return all;
}

/// One state of the disk. `number` makes the random one repeatable.
inline void judge_state(const PowerLoss& loss, const CrashDisk& disk, Left left, std::size_t number,
                        const Promises& promises, PowerTally& tally) {
  const Scratch scratch;
  std::minstd_rand random(static_cast<std::minstd_rand::result_type>(number + 1));
  disk.leave(scratch.path(), left, random, loss.only);
  loss.judge(scratch.path(), promises);
  ++tally.states;
}

inline void judge_point(const PowerLoss& loss, const CrashDisk& disk, std::size_t point, const Promises& promises,
                        PowerTally& tally) {
  static constexpr std::array kNamesOf = {"nothing", "everything", "names only", "bytes only"};
  static const char* const seeds_wanted = std::getenv("MSP_POWER_SEEDS");
  static const std::size_t seeds = seeds_wanted != nullptr ? std::strtoul(seeds_wanted, nullptr, 10) : 1;
  for (std::size_t kind = 0; kind < kNamesOf.size(); ++kind) {
    SCOPED_TRACE("of the unsynced is left: " + std::string(kNamesOf.at(kind)));
    judge_state(loss, disk, static_cast<Left>(kind), 0, promises, tally);
    if (disk.unsynced() == 0) {
      return;  // all kinds are one
    }
  }
  for (std::size_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE("of the unsynced is left: some, seed " + std::to_string(seed));
    judge_state(loss, disk, Left::kSome, (point * 1000) + seed, promises, tally);
  }
}

/// All files that are written here are secret: none is open to others for a moment, not only at the end.
inline void expect_never_open_to_others(const std::vector<Event>& events) {
  std::map<std::int32_t, const Event*> opened;
  for (const Event& event : events) {
    if (event.kind == Event::Kind::kOpen) {
      opened[event.fd] = &event;
      EXPECT_TRUE((event.number & O_CREAT) == 0 || (event.mode & 0077U) == 0) << event.path << " is made so";
    } else if (event.kind == Event::Kind::kChmod && event.fd >= 0) {
      const Event& file = *opened.at(event.fd);
      EXPECT_TRUE((file.number & O_DIRECTORY) != 0 || (event.mode & 0077U) == 0) << file.path << " becomes so";
    }
  }
}

/// `every`: only each so manieth point.
inline PowerTally lose_power(const PowerLoss& loss, std::size_t every = 1) {
  const Scratch scratch;
  loss.prepare(scratch.path());
  CrashDisk disk(scratch.path());
  watch(scratch.path());
  loss.act(scratch.path());
  const auto events = journal();
  watch({});
  expect_never_open_to_others(events);
  PowerTally tally{.events = events.size()};
  Promises promises;
  log::set_level(log::Level::kBug);
  for (std::size_t point = 0; point < events.size() && !testing::Test::HasFatalFailure(); ++point) {
    const Event& event = events[point];
    disk.apply(event);
    if (event.kind == Event::Kind::kMark) {
      promises.push_back(event.text);
    }
    if (event.kind != Event::Kind::kClose && point % every == 0) {
      SCOPED_TRACE(loss.name + ": power lost after event " + std::to_string(point) + " of " +
                   std::to_string(events.size()));
      judge_point(loss, disk, point, promises, tally);
    }
  }
  // Else a call was missed, and all of the above says nothing.
  const Scratch whole;
  std::minstd_rand random;
  disk.leave(whole.path(), Left::kEverything, random);
  EXPECT_EQ(content_of(whole.path()), content_of(scratch.path())) << "the journal is not the whole truth";
  return tally;
}

/// Tells how much was tried.
inline PowerTally run(const PowerLoss& loss) {
  const PowerTally tally = lose_power(loss);
  log::set_level(log::Level::kInfo);
  std::printf("%s: %zu events on the disk, %zu states after a power loss\n", loss.name.c_str(), tally.events,
              tally.states);
  return tally;
}

}  // namespace msp::faults
