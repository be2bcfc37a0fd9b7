// SPDX-License-Identifier: Apache-2.0
// Fails each file call of a piece of code in turn, in each way, and hands every outcome to a judge.
// For tests; one thread. Directories are fresh for each run and go away after it.
// What the judge does not accept is a failure of the test, told with the call, its number and the fault.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "tests/support/faults/faults.h"

namespace msp::faults {

/// A directory of one run, on the fastest disk there is.
class Scratch {
 public:
  Scratch() {
    std::string name = (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/msp-faults-XXXXXX");
    path_ = std::filesystem::canonical(::mkdtemp(name.data())).string();
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Fault {
  std::string name;
  Effect effect = kFail;
  int error = 0;
  std::uint32_t calls = kEveryCall;
  bool from_there_on = false;
};

/// Each error once at any call, then as what it means on a machine: from some call on, for the calls that it concerns.
inline std::vector<Fault> every_fault() {
  std::vector<Fault> all;
  for (const int error : {ENOSPC, EIO, EROFS, EACCES, EINTR}) {
    all.push_back({.name = ::strerrorname_np(error), .error = error});
  }
  all.push_back({.name = "ENOSPC from there on", .error = ENOSPC, .calls = kTakesSpace, .from_there_on = true});
  all.push_back({.name = "EIO from there on", .error = EIO, .from_there_on = true});
  all.push_back({.name = "EROFS from there on", .error = EROFS, .calls = kChangesDisk, .from_there_on = true});
  all.push_back(
      {.name = "EACCES from there on", .error = EACCES, .calls = kEveryCall & ~kClose, .from_there_on = true});
  all.push_back({.name = "short transfer", .effect = kShort, .calls = kRead | kWrite});
  all.push_back(
      {.name = "short transfers from there on", .effect = kShort, .calls = kRead | kWrite, .from_there_on = true});
  all.push_back(
      {.name = "writes of nothing from there on", .effect = kNothing, .calls = kWrite, .from_there_on = true});
  return all;
}

struct Campaign {
  std::string name;
  std::function<void(const std::string& directory)> prepare;  ///< without faults, not counted
  std::function<Result<void>(const std::string& directory)> act;
  /// While the fault is still there, and after it has gone.
  std::function<void(const std::string& directory, const Fault&, const Result<void>&)> judge;
};

struct Tally {
  std::size_t calls = 0;
  std::size_t runs = 0;
  std::size_t refused = 0;  ///< the code said that it failed
};

struct Calls {
  std::vector<std::string> names;
  std::vector<Call> kinds;
};

inline Calls calls_of(const Campaign& campaign) {
  const Scratch scratch;
  campaign.prepare(scratch.path());
  watch(scratch.path());
  const auto done = campaign.act(scratch.path());
  Calls seen{.names = calls(), .kinds = kinds()};
  watch({});
  EXPECT_TRUE(done.ok()) << campaign.name << " without a fault: " << done.error().text();
  return seen;
}

/// How many calls were not left alone.
inline std::uint64_t run_one(const Campaign& campaign, const Fault& fault, std::uint64_t at, Tally& tally) {
  const Scratch scratch;
  campaign.prepare(scratch.path());
  watch(scratch.path());
  plan() = {.effect = fault.effect,
            .error = static_cast<std::uint32_t>(fault.error),
            .calls = fault.calls,
            .from_there_on = fault.from_there_on ? 1U : 0U,
            .at = at};
  const auto done = campaign.act(scratch.path());
  plan().effect = kNone;
  const std::uint64_t hit = plan().hit;
  EXPECT_EQ(open_descriptors(), 0U) << "left open";
  campaign.judge(scratch.path(), fault, done);
  watch({});
  ++tally.runs;
  tally.refused += done.ok() ? 0 : 1;
  return hit;
}

/// Returns the number of calls, runs and refusals, for the log.
inline Tally run(const Campaign& campaign, const std::vector<Fault>& chosen = every_fault()) {
  const auto [names, kinds] = calls_of(campaign);
  Tally tally{.calls = names.size()};
  EXPECT_GT(names.size(), 0U) << "nothing is seen of " << campaign.name;
  std::size_t met = 0;
  log::set_level(log::Level::kBug);  // else a line for each fault
  for (const Fault& fault : chosen) {
    for (std::uint64_t at = 0; at < names.size(); ++at) {
      if ((kinds[at] & fault.calls) == 0) {
        continue;  // as if it began at the next call that it concerns
      }
      SCOPED_TRACE(campaign.name + ", call " + std::to_string(at) + " (" + names[at] + "): " + fault.name);
      met += run_one(campaign, fault, at, tally) != 0 ? 1 : 0;
    }
  }
  log::set_level(log::Level::kInfo);
  // Some pieces of code end the fault themselves, and do it all again.
  EXPECT_GE(2 * met, tally.runs) << "most faults of " << campaign.name << " met no call";
  std::printf("%s: %zu calls, %zu runs with a fault, %zu refused\n", campaign.name.c_str(), tally.calls, tally.runs,
              tally.refused);
  return tally;
}

}  // namespace msp::faults
