// SPDX-License-Identifier: Apache-2.0
// Every pair of phase and event: found by walking all that can be reached, and compared with the table of
// docs/channel.md. The expected text stands there; a change of the machine without one of the document fails here.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <set>

#include "channel/machine.h"

namespace msp::channel {
namespace {

const std::string kA = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
const std::string kB = "11111111-2222-4333-8444-555555555555";

Polled needs_key(std::optional<std::string> guid, std::uint32_t incarnation) {
  return {{.state = "WireServer Enforce -  IMDS Enforce - HostGA Enforce",
           .key_needed = true,
           .key_guid = std::move(guid),
           .incarnation = incarnation,
           .redirect = {true, true, true}}};
}

struct Row {
  std::string name;
  Action answers;
  // What stands for the event; those of one row may differ in what does not matter.
  std::function<std::vector<Event>(const Machine&)> events;
};

std::vector<Event> polls_that_name(const Machine& m, bool in_use) {
  std::vector<Event> events;
  for (const std::string& guid : {kA, kB}) {
    for (const std::uint32_t incarnation : {1U, 2U}) {
      if ((guid == m.key_guid) == in_use) {
        events.emplace_back(needs_key(guid, incarnation));
      }
    }
  }
  return events;
}

std::function<std::vector<Event>(const Machine&)> only(Event event) {
  return [event = std::move(event)](const Machine&) { return std::vector{event}; };
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {"status: disabled", Action::kPoll,
       only(Polled{{.state = "disabled", .key_guid = {}, .incarnation = {}, .redirect = {true, true, true}}})},
      {"status: names the key in use", Action::kPoll, [](const Machine& m) { return polls_that_name(m, true); }},
      {"status: names another key", Action::kPoll, [](const Machine& m) { return polls_that_name(m, false); }},
      {"status: names no key", Action::kPoll,
       [](const Machine&) { return std::vector<Event>{needs_key(std::nullopt, 1), needs_key(std::nullopt, 2)}; }},
      {"no good status", Action::kPoll, only(PollFailed{"silent"})},
      {"status: not signed, or wrongly, where it must be", Action::kPoll,
       only(PollFailed{"not signed", "status_unsigned"})},
      {"stored key loaded", Action::kLoadKey, only(Loaded{})},
      {"no such key stored, or unfit", Action::kLoadKey, only(NotStored{"no such file"})},
      {"key received", Action::kAcquire, [](const Machine&) { return std::vector<Event>{Acquired{kA}, Acquired{kB}}; }},
      {"key refused (4xx)", Action::kAcquire, only(AcquireFailed{"403", true})},
      {"no key: silence, 5xx, garbage", Action::kAcquire, only(AcquireFailed{"silence", false})},
      {"key saved and read back", Action::kSaveKey, only(Saved{})},
      {"key not saved", Action::kSaveKey, only(SaveFailed{"disk full"})},
      {"attestation accepted", Action::kAttest, only(Attested{})},
      {"attestation refused (4xx)", Action::kAttest, only(AttestFailed{"401", true})},
      {"attestation without answer, or 5xx", Action::kAttest, only(AttestFailed{"silence", false})},
      {"pause over", Action::kWait, only(Waited{})},
      {"notify", Action::kWait, only(Notified{})},
      {"notify, while a poll is out", Action::kPoll, only(Notified{})},
  };
  return all;
}

struct Situation {
  Machine machine;
  Action outstanding;
};

// What the next step hangs on, without texts for people and without the count of failed polls (it sets pauses only).
std::string essence(const Situation& s) {
  const Machine& m = s.machine;
  return fmt::format("{}|{}|{}{}{}|{}|{}|{} {} {}|{} {}", to_string(m.phase), to_string(s.outstanding), m.ever_latched,
                     m.key_needed, m.not_stored.empty(), m.key_guid, m.candidate, m.refusals, m.skip_acquire,
                     m.refused_by_host, m.host_guid.value_or("-"), m.host_incarnation.value_or(0));
}

std::string outcome(const Situation& before, const Situation& after) {
  std::string text = fmt::format("{}, {}", to_string(after.machine.phase), to_string(after.outstanding));
  if (before.machine.key_guid != after.machine.key_guid) {
    text += after.machine.key_guid.empty() ? " −key" : " +key";
  }
  return text;
}

struct Walk {
  // [row][phase] → outcomes
  std::vector<std::map<Phase, std::set<std::string>>> cells{rows().size()};
  std::size_t situations = 0;
  std::size_t strays = 0;  ///< events that answered nothing outstanding, and were seen to change nothing
};

/// The same event has a row for this action, too.
bool answered_by_another(std::size_t row, Action outstanding) {
  return std::ranges::any_of(rows(), [&](const Row& other) {
    return other.answers == outstanding && other.name.starts_with("notify") && rows()[row].name.starts_with("notify");
  });
}

// Breadth first from both starts; `check` sees each situation once.
Walk walk_everything() {
  Walk walk;
  std::set<std::string> seen;
  std::deque<Situation> open;
  const auto visit = [&](Situation s) {
    if (seen.insert(essence(s)).second) {
      open.push_back(std::move(s));
    }
  };
  visit({Machine::start(false), Action::kPoll});
  visit({Machine::start(true), Action::kPoll});
  for (; !open.empty(); open.pop_front(), ++walk.situations) {
    const Situation& now = open.front();
    for (std::size_t i = 0; i < rows().size(); ++i) {
      for (const Event& event : rows()[i].events(now.machine)) {
        Situation next = now;
        next.outstanding = apply(next.machine, now.outstanding, event);
        if (rows()[i].answers == now.outstanding) {
          walk.cells[i][now.machine.phase].insert(outcome(now, next));
          visit(std::move(next));
        } else if (!answered_by_another(i, now.outstanding)) {
          EXPECT_EQ(next.outstanding, now.outstanding) << rows()[i].name << " in " << essence(now);
          EXPECT_TRUE(next.machine == now.machine) << rows()[i].name << " in " << essence(now);
          ++walk.strays;
        }
      }
    }
  }
  return walk;
}

constexpr std::array kPhases{Phase::kUnknown,   Phase::kDisabled, Phase::kAcquiring,
                             Phase::kAttesting, Phase::kLatched,  Phase::kRefused};

std::string table_of(const Walk& walk) {
  std::string text = "| Event | answers |";
  for (const Phase phase : kPhases) {
    text += fmt::format(" {} |", to_string(phase));
  }
  text += "\n|---|---|---|---|---|---|---|---|\n";
  for (std::size_t i = 0; i < rows().size(); ++i) {
    text += fmt::format("| {} | {} |", rows()[i].name, to_string(rows()[i].answers));
    for (const Phase phase : kPhases) {
      const auto found = walk.cells[i].find(phase);
      std::string cell = "·";
      if (found != walk.cells[i].end()) {
        cell = fmt::format("{}", fmt::join(found->second, "; "));
      }
      text += " " + cell + " |";
    }
    text += "\n";
  }
  return text;
}

TEST(ChannelTable, TheDocumentsTableIsWhatTheMachineDoes) {
  const Walk walk = walk_everything();
  std::ifstream file(MSP_SOURCE_DIR "/docs/channel.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  const std::string head = "<!-- table begins -->\n";
  const auto begin = document.find(head);
  const auto end = document.find("<!-- table ends -->");
  const std::string is = table_of(walk);
  ASSERT_NE(begin, std::string::npos) << is;
  ASSERT_NE(end, std::string::npos) << is;
  EXPECT_EQ(document.substr(begin + head.size(), end - begin - head.size()), is) << "put this into docs/channel.md:\n"
                                                                                 << is;
}

TEST(ChannelTable, EveryPhaseIsReachedAndEveryEventHasItsPlace) {
  const Walk walk = walk_everything();
  std::set<Phase> phases;
  for (std::size_t i = 0; i < rows().size(); ++i) {
    EXPECT_FALSE(walk.cells[i].empty()) << rows()[i].name;
    for (const auto& [phase, outcomes] : walk.cells[i]) {
      phases.insert(phase);
    }
  }
  EXPECT_EQ(phases.size(), kPhases.size());
  EXPECT_GT(walk.situations, 100U);
  EXPECT_GT(walk.strays, 10 * walk.situations) << "all events were tried in all situations";
}

}  // namespace
}  // namespace msp::channel
