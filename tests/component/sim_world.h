// SPDX-License-Identifier: Apache-2.0
// Agent, host, and what happens between and to them, on a simulated clock: events in order of time, drawn from one
// seed. Owned by one test, one thread. Nothing sleeps; hours pass in a second. What must hold is looked at after every
// event; a violation fails the test, with the last events in the message.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/component/sim_agent.h"
#include "tests/component/sim_false_host.h"
#include "tests/component/sim_host.h"

namespace msp::sim {

struct Tally {
  std::uint64_t events = 0;
  std::uint64_t calms = 0;
  std::uint64_t latches = 0;
  std::uint64_t resets = 0;      ///< by the operator, since something was stuck
  std::uint64_t slowest_ms = 0;  ///< from the end of the faults to the latch, where no back-off was under way
  std::uint64_t slowest_after_backoff_ms = 0;
  std::map<std::string, std::uint64_t> happened;
};

class World {
 public:
  World(const std::string& directory, std::uint64_t seed);

  /// Until so many events have been; ends in a calm. Stops at the first violation.
  void run(std::uint64_t events);
  /// No faults; the key is rotated once a day, and a request is there between any two events.
  void live_with_rotations(std::uint64_t days);
  const Tally& tally() const { return tally_; }
  std::uint64_t most_key_files() const { return most_key_files_; }

 private:
  struct Item {
    std::string what;
    bool network = false;
    std::function<void()> happen;
  };

  void at(std::uint64_t in_ms, std::string what, bool network, std::function<void()> happen);
  bool chance(double probability) { return std::bernoulli_distribution(probability)(random_); }
  bool fault(double probability) { return faults_ && chance(probability); }
  std::uint64_t between(std::uint64_t least, std::uint64_t most);
  bool next();

  // The agent's work, and the network under it.
  void go_on();
  void call_host();
  void send(const test::RequestText& text, std::uint64_t call, channel::Action kind);
  void arrive(const test::RequestText& text, std::uint64_t call, channel::Action kind);
  void answer(Reply reply, std::uint64_t call, channel::Action kind);
  std::optional<Reply> answer_falsely(const test::RequestText& text, channel::Action kind);

  // What happens to them.
  void mischief();
  void happen(const std::string& what);
  void restart_agent();
  void thief_asks();
  void thief_attests();
  void damage_key_file();
  void restore_backup();
  void calm();

  // What must hold.
  void look();
  void look_at_latch(bool by_agent);
  void fail(const std::string& what);

  std::mt19937_64 random_;
  FakeClock guest_clock_;
  FakeClock host_clock_;
  SimHost host_;
  SimAgent agent_;
  FalseHost false_host_;
  std::uint64_t false_until_ms_ = 0;  ///< so long he answers now and then
  std::multimap<std::uint64_t, Item> queue_;
  std::uint64_t now_ms_ = 0;
  std::uint64_t call_ = 0;  ///< the connection or pause that the agent waits for
  bool faults_ = true;
  bool failed_ = false;

  std::string latched_;
  std::map<std::uint32_t, int> latches_;  ///< of each incarnation
  bool agent_was_latched_ = false;
  std::vector<std::pair<std::string, std::string>> stolen_;  ///< id and bytes of keys that the thief was given
  std::map<channel::Action, std::vector<Reply>> old_answers_;
  std::map<std::string, std::string> backup_;  ///< name and content of key files
  std::uint64_t most_key_files_ = 0;           ///< of the agent, at the end of a day
  std::deque<std::string> last_;
  Tally tally_;
};

}  // namespace msp::sim
