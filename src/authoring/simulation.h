// SPDX-License-Identifier: Apache-2.0
// Many requests decided by one version of the rules, or by two, and grouped: who asked for what, and what became of it.
// Owned by one run of a tool, one thread. A stream: memory grows with the number of different groups, which is bounded,
// never with the number of lines.
// Lines that cannot be used are counted and named by number, none is dropped in silence.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authoring/fate.h"
#include "authoring/request_line.h"

namespace msp::authoring {

/// Requests that are alike and had the same fate.
struct SimulationGroup {
  Service service = Service::kImds;
  std::string user;
  std::string exe;
  std::string method;
  std::string path;                ///< without query
  std::optional<Outcome> outcome;  ///< nothing: it hangs on what the record does not say
  std::string code;
  std::string rule;               ///< "privilege / role / identity", or the ground; of a refusal the nearest miss
  std::optional<Outcome> before;  ///< by the other version, or as recorded; nothing: not known
  Change change = Change::kNotCompared;
  std::string unsaid;  ///< what would have to be known; empty where nothing hangs on it
  std::uint64_t count = 0;

  bool changed() const { return change == Change::kDifferent; }
};

class Simulation {
 public:
  struct Bad {
    std::string file;
    std::uint64_t line = 0;  ///< of the file
    std::string why;
  };
  struct Counts {
    std::uint64_t lines = 0;
    std::uint64_t requests = 0;
    std::uint64_t events = 0;
    std::uint64_t unusable = 0;
    std::uint64_t changed = 0;       ///< requests whose outcome differs
    std::uint64_t unknown = 0;       ///< requests of which cannot be told whether it does
    std::uint64_t by_record = 0;     ///< requests of which only the record's rule set and its decision tell
    std::uint64_t not_compared = 0;  ///< requests of which no other outcome is known
    std::uint64_t cut = 0;           ///< requests with a text that the log may have cut
    // Requests of a log which does not say what the rules ask of somebody with this user and this process name:
    std::uint64_t without_groups = 0;
    std::uint64_t without_place = 0;       ///< unit, cgroup or container
    std::uint64_t without_executable = 0;  ///< whether it is the file at a path that is written in another way
    std::uint64_t redacted = 0;            ///< requests with a value that the log does not keep
    bool torn = false;                     ///< the last line was incomplete
  };
  static constexpr std::size_t kMaxGroups = 100'000;
  static constexpr std::size_t kMaxBad = 1000;

  /// `other`: the version to compare with; without it outcomes are compared with those recorded. `groups_of`: names of
  /// a user's groups, for records that say none; may be empty. `max_groups`: requests beyond are counted as others.
  Simulation(policy::Snapshot rules, std::optional<policy::Snapshot> other,
             std::function<std::vector<std::string>(const std::string& user)> groups_of,
             std::size_t max_groups = kMaxGroups);

  std::size_t max_groups() const { return max_groups_; }
  /// Who is asked by lines that have a path only.
  void assume(std::optional<Service> service) { service_ = service; }
  /// Lines are counted anew from here.
  void begin_file(std::string name);
  /// `complete`: it ended with a newline.
  void add(std::string_view line, bool complete);
  /// A line that was too long to be read.
  void add_unreadable(std::string why);

  const Counts& counts() const { return counts_; }
  const std::vector<Bad>& bad() const { return bad_; }
  /// Why a record is not for rules → how many.
  const std::map<std::string, std::uint64_t>& not_for_rules() const { return not_for_rules_; }
  /// Changes first, then what may be one, then refusals; the most frequent first.
  std::vector<SimulationGroup> groups() const;

 private:
  void unusable(std::string why);
  void request(RequestLine& line);
  void count(const RequestLine& line, const Fate& fate);

  Fates fates_;
  std::size_t max_groups_;
  std::optional<Service> service_;
  std::string file_;
  std::uint64_t line_ = 0;  ///< of the file
  Counts counts_;
  std::vector<Bad> bad_;
  std::map<std::string, std::uint64_t> not_for_rules_;
  std::map<std::string, SimulationGroup> groups_;
};

}  // namespace msp::authoring
