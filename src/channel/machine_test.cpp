// SPDX-License-Identifier: Apache-2.0
#include "channel/machine.h"

#include <gtest/gtest.h>

#include <random>

namespace msp::channel {
namespace {

const std::string kA = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
const std::string kB = "11111111-2222-4333-8444-555555555555";
constexpr std::array<bool, kServiceCount> kAll{true, true, true};
constexpr std::array<bool, kServiceCount> kNone{false, false, false};

Polled needs_key(std::optional<std::string> guid, std::optional<std::uint32_t> incarnation = 1) {
  return {{.state = "WireServer Enforce -  IMDS Enforce - HostGA Enforce",
           .key_needed = true,
           .key_guid = std::move(guid),
           .incarnation = incarnation,
           .redirect = kAll}};
}

Polled disabled() { return {{.state = "disabled", .key_guid = {}, .incarnation = {}, .redirect = kAll}}; }

// Feeds events to a machine the way the driver does.
class Sequence {
 public:
  explicit Sequence(bool ever_latched) : m(Machine::start(ever_latched)) {}
  Action operator()(const Event& event) { return action = apply(m, action, event); }
  Action latch(const std::string& guid) {
    (*this)(needs_key(std::nullopt));
    (*this)(Acquired{guid});
    (*this)(Saved{});
    return (*this)(Attested{});
  }
  Action poll_again(const Event& event) {
    (*this)(Waited{});
    return (*this)(event);
  }

  Machine m;
  Action action = Action::kPoll;
};

TEST(Machine, NeverLatchedLeavesTrafficAloneUntilTheHostSpeaks) {
  Sequence run(false);
  EXPECT_FALSE(run.m.closed());
  EXPECT_EQ(run.m.redirect, kNone);
  EXPECT_EQ(run(PollFailed{"silent"}), Action::kWait);
  EXPECT_FALSE(run.m.closed());
  EXPECT_EQ(run.m.redirect, kNone);
  EXPECT_EQ(run.m.message, "silent");
  EXPECT_EQ(run.m.state, "Unknown");
}

TEST(Machine, EverLatchedIsClosedFromTheFirstMomentAndStaysSoWhileTheHostIsSilent) {
  Sequence run(true);
  EXPECT_TRUE(run.m.closed());
  EXPECT_EQ(run.m.redirect, kAll);
  run(PollFailed{"silent"});
  EXPECT_TRUE(run.m.closed());
  EXPECT_EQ(run.m.redirect, kAll);
}

TEST(Machine, EverLatchedOpensOnAGoodDisabledAnswer) {
  Sequence run(true);
  EXPECT_EQ(run(disabled()), Action::kWait);
  EXPECT_FALSE(run.m.closed());
  EXPECT_EQ(run.m.phase, Phase::kDisabled);
  EXPECT_EQ(run.m.redirect, kNone) << "a disabled channel redirects nothing, whatever the modes say (L.9)";
  EXPECT_TRUE(run.m.ever_latched);
}

TEST(Machine, FirstBootAcquiresSavesAttestsLatches) {
  Sequence run(false);
  EXPECT_EQ(run(needs_key(std::nullopt)), Action::kAcquire);
  EXPECT_EQ(run.m.phase, Phase::kAcquiring);
  EXPECT_TRUE(run.m.closed()) << "redirected at once, not ready until a key is there (L.10)";
  EXPECT_EQ(run.m.redirect, kAll);
  EXPECT_EQ(run(Acquired{kA}), Action::kSaveKey);
  EXPECT_EQ(run(Saved{}), Action::kAttest);
  EXPECT_EQ(run.m.phase, Phase::kAttesting);
  EXPECT_TRUE(run.m.closed());
  EXPECT_EQ(run(Attested{}), Action::kWait);
  EXPECT_EQ(run.m.phase, Phase::kLatched);
  EXPECT_EQ(run.m.key_guid, kA);
  EXPECT_TRUE(run.m.ever_latched);
  EXPECT_FALSE(run.m.closed());
}

TEST(Machine, RebootAdoptsTheStoredKeyWithoutAskingTheHost) {
  Sequence run(true);
  EXPECT_EQ(run(needs_key(kA)), Action::kLoadKey);
  EXPECT_EQ(run.m.candidate, kA);
  EXPECT_TRUE(run.m.closed());
  EXPECT_EQ(run(Loaded{}), Action::kWait);
  EXPECT_EQ(run.m.key_guid, kA);
  EXPECT_EQ(run.m.phase, Phase::kLatched);
  EXPECT_FALSE(run.m.closed());
}

TEST(Machine, LostKeyIsAskedForAgainAndStaysClosed) {
  Sequence run(true);
  run(needs_key(kA));
  EXPECT_EQ(run(NotStored{"no such file"}), Action::kAcquire);
  EXPECT_EQ(run(AcquireFailed{"the host answered 403", true}), Action::kWait);
  EXPECT_EQ(run.m.phase, Phase::kRefused);
  EXPECT_TRUE(run.m.closed());
}

TEST(Machine, ThatAKeyWasLostIsNotSaidOnceTheHostNamesNone) {
  Sequence run(true);
  run(needs_key(kA));
  run(NotStored{"no such file"});
  run(AcquireFailed{"no answer", false});
  EXPECT_EQ(run.poll_again(needs_key(std::nullopt)), Action::kAcquire);
  run(AcquireFailed{"the host answered 403", true});
  EXPECT_EQ(run.m.message, "the host answered 403");
}

TEST(Machine, ForeignGuidKeepsTheOldKeyUntilTheNewOneIsThere) {
  Sequence run(false);
  run.latch(kA);
  EXPECT_EQ(run.poll_again(needs_key(kB)), Action::kLoadKey);
  EXPECT_EQ(run.m.key_guid, kA);
  EXPECT_FALSE(run.m.closed());
  EXPECT_EQ(run(Loaded{}), Action::kWait);
  EXPECT_EQ(run.m.key_guid, kB);
}

TEST(Machine, HostThatForgetsIsAskedForANewKeyEachRound) {
  Sequence run(false);
  run.latch(kA);
  EXPECT_EQ(run.poll_again(needs_key(std::nullopt)), Action::kAcquire);
  EXPECT_EQ(run.m.key_guid, kA) << "nothing goes out unsigned meanwhile";
  run(Acquired{kB});
  run(Saved{});
  run(Attested{});
  EXPECT_EQ(run.m.key_guid, kB);
}

TEST(Machine, FailedPollChangesNothingButTheMessageWhichThenFollowsTheNextPoll) {
  Sequence run(false);
  run.latch(kA);
  const Machine before = run.m;
  run.poll_again(PollFailed{"the host did not answer"});
  EXPECT_EQ(run.m.phase, before.phase);
  EXPECT_EQ(run.m.state, before.state);
  EXPECT_EQ(run.m.key_guid, kA);
  EXPECT_EQ(run.m.redirect, kAll);
  EXPECT_FALSE(run.m.host_answers);
  EXPECT_EQ(run.m.message, "the host did not answer");
  run.poll_again(needs_key(kA));
  EXPECT_TRUE(run.m.host_answers);
  EXPECT_EQ(run.m.message, "key " + kA + " is in use");
}

TEST(Machine, DisableDropsTheKeyAndEnableLoadsIt) {
  Sequence run(false);
  run.latch(kA);
  run.poll_again(disabled());
  EXPECT_EQ(run.m.key_guid, "");
  EXPECT_FALSE(run.m.closed());
  EXPECT_EQ(run.poll_again(needs_key(kA)), Action::kLoadKey);
  EXPECT_TRUE(run.m.closed());
  run(Loaded{});
  EXPECT_FALSE(run.m.closed());
}

TEST(Machine, ModesAreFollowedAtEveryGoodPollAlsoWithoutAChangeOfState) {
  Sequence run(false);
  run.latch(kA);
  Polled same = needs_key(kA);
  same.facts.redirect = {true, false, false};
  run.poll_again(same);
  EXPECT_EQ(run.m.redirect, same.facts.redirect);
}

// In the field a mode that is not disabled redirects all the same: there would be neither key nor rules to serve it by.
TEST(Machine, ADisabledChannelRedirectsNothingWhateverTheModes) {
  Sequence run(false);
  run.latch(kA);
  Polled off = disabled();
  off.facts.redirect = {true, true, true};
  run.poll_again(off);
  EXPECT_EQ(run.m.redirect, (std::array<bool, kServiceCount>{}));
}

TEST(Machine, LostAttestationAnswerHealsByTheNextStatus) {
  Sequence run(false);
  run(needs_key(std::nullopt));
  run(Acquired{kA});
  run(Saved{});
  EXPECT_EQ(run(AttestFailed{"no answer in 10 s"}), Action::kWait);
  EXPECT_EQ(run.m.phase, Phase::kAttesting);
  EXPECT_TRUE(run.m.closed());
  EXPECT_EQ(run.poll_again(needs_key(kA)), Action::kLoadKey);
  run(Loaded{});
  EXPECT_EQ(run.m.phase, Phase::kLatched);
}

TEST(Machine, RefusedAttestationIsShown) {
  Sequence run(false);
  run(needs_key(std::nullopt));
  run(Acquired{kA});
  run(Saved{});
  run(AttestFailed{"the host answered 401", true});
  EXPECT_EQ(run.m.phase, Phase::kRefused);
  EXPECT_EQ(run.m.key_guid, "");
  EXPECT_FALSE(run.m.ever_latched);
}

TEST(Machine, UnsavedKeyIsNeverAttested) {
  Sequence run(false);
  run(needs_key(std::nullopt));
  run(Acquired{kA});
  EXPECT_EQ(run(SaveFailed{"disk full"}), Action::kWait);
  EXPECT_TRUE(run.m.closed());
  EXPECT_EQ(run.m.phase, Phase::kAcquiring);
  EXPECT_EQ(run.m.message, "disk full");
}

TEST(Machine, RefusalsAreRepeatedEverMoreRarelyUntilTheHostsViewChanges) {
  Sequence run(true);
  std::vector<int> polls_between;
  int polls = 0;
  run(needs_key(kA));
  for (int asked = 0; asked < 7;) {
    Action next = run(NotStored{"no such file"});
    if (next == Action::kAcquire) {
      polls_between.push_back(polls);
      polls = 0;
      ++asked;
      run(AcquireFailed{"403", true});
    } else {
      EXPECT_EQ(run.m.phase, Phase::kRefused);
      EXPECT_EQ(run.m.message, "no such file; 403");
    }
    run.poll_again(needs_key(kA));
    ++polls;
  }
  EXPECT_EQ(polls_between, (std::vector<int>{0, 1, 2, 4, 8, 16, 16}));
  run(NotStored{"no such file"});
  EXPECT_EQ(run.poll_again(needs_key(std::nullopt, 2)), Action::kAcquire) << "an operator's reset is seen at once";
}

TEST(Machine, SilenceIsNotARefusal) {
  Sequence run(false);
  run(needs_key(std::nullopt));
  for (int i = 0; i < 5; ++i) {
    run(AcquireFailed{"no answer in 10 s", false});
    EXPECT_EQ(run.m.phase, Phase::kAcquiring);
    EXPECT_EQ(run.poll_again(needs_key(std::nullopt)), Action::kAcquire);
  }
}

// The link may be bad, and the host well: what is told of how soon a machine latches holds here, too.
TEST(Machine, AttestationsWithoutAnAnswerAreRepeatedAtEachPoll) {
  Sequence run(false);
  run(needs_key(std::nullopt));
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(run.action, Action::kAcquire) << i;
    run(Acquired{kA});
    run(Saved{});
    run(AttestFailed{"the host answered 500"});
    EXPECT_EQ(run.m.phase, Phase::kAttesting);
    run.poll_again(needs_key(std::nullopt));
  }
}

TEST(Machine, NotifyBeginsAnewOnlyWhereNothingIsLatched) {
  Sequence run(false);
  run(PollFailed{"silent"});
  EXPECT_EQ(run(Notified{}), Action::kPoll);
  run(disabled());
  EXPECT_EQ(run(Notified{}), Action::kPoll);
  EXPECT_EQ(run.m.state, "Unknown");
  EXPECT_EQ(run.m.redirect, kNone);
  Sequence latched(false);
  latched.latch(kA);
  EXPECT_EQ(latched(Notified{}), Action::kWait);
  EXPECT_EQ(latched.m.phase, Phase::kLatched);
}

TEST(Machine, NotifyDoesNotOpenAClosedMachine) {
  Sequence run(true);
  run(PollFailed{"silent"});
  run(Notified{});
  EXPECT_TRUE(run.m.closed());
  EXPECT_EQ(run.m.redirect, kAll);
}

TEST(Machine, PausesAreThoseOfTheField) {
  Machine m = Machine::start(false);
  EXPECT_EQ(pause_ms(m, {}), 1000U);
  EXPECT_EQ(pause_ms(m, {.interval_ms = 100}), 100U);
  EXPECT_EQ(pause_ms(m, {.uptime_ms = 5 * 60 * 1000}), 15000U);
  apply(m, Action::kPoll, disabled());
  EXPECT_EQ(pause_ms(m, {}), 15000U);
}

TEST(Machine, FailedPollsBackOffToTheInterval) {
  Machine m = Machine::start(true);
  apply(m, Action::kPoll, needs_key(kA));
  std::vector<std::uint64_t> pauses;
  for (int i = 0; i < 6; ++i) {
    apply(m, Action::kPoll, PollFailed{"silent"});
    pauses.push_back(pause_ms(m, {}));
  }
  EXPECT_EQ(pauses, (std::vector<std::uint64_t>{1000, 2000, 4000, 8000, 15000, 15000}));
  EXPECT_EQ(pause_ms(m, {.jitter = 1}), 18000U);
  EXPECT_EQ(pause_ms(m, {.jitter = -1}), 12000U);
  EXPECT_EQ(pause_ms(m, {.interval_ms = 1, .jitter = -1}), 1U);
}

Polled holding(Polled polled, Hold hold) {
  polled.hold = hold;
  return polled;
}

TEST(Machine, ThePauseAfterAPollFollowsWhatTheHostDidWithIt) {
  const struct {
    const char* what;
    Hold hold;
    std::uint64_t interval_ms;
    std::uint64_t pause_ms;
  } rows[] = {
      {"a host of the field", {}, 15'000, 15'000},
      {"first contact with one that can", {.known = true, .changed = true, .asked_ms = 0}, 15'000, 50},
      {"a change", {.known = true, .changed = true, .asked_ms = 15'000, .took_ms = 3}, 15'000, 50},
      {"a change, at a pace that is faster still", {.known = true, .changed = true, .asked_ms = 15'000}, 20, 20},
      {"held to the end", {.known = true, .asked_ms = 15'000, .took_ms = 15'004}, 15'000, 0},
      {"held almost to the end", {.known = true, .asked_ms = 15'000, .took_ms = 14'900}, 15'000, 100},
      {"back after trouble, and nothing has changed", {.known = true, .asked_ms = 0}, 15'000, 50},
      {"it says that it can and never does", {.known = true, .asked_ms = 15'000, .took_ms = 2}, 15'000, 15'000},
      {"the same at an hour", {.known = true, .asked_ms = 30'000, .took_ms = 2}, 3'600'000, 3'600'000},
      {"it gives up early", {.known = true, .asked_ms = 30'000, .took_ms = 20'000}, 3'600'000, 3'600'000},
      {"held for a second", {.known = true, .asked_ms = 1'000, .took_ms = 750}, 1'000, 250},
  };
  for (const auto& row : rows) {
    Machine m = Machine::start(true);
    apply(m, Action::kPoll, holding(needs_key(kA), row.hold));
    EXPECT_EQ(pause_ms(m, {.interval_ms = row.interval_ms}), row.pause_ms) << row.what;
  }
}

TEST(Machine, AsksToBeHeldOnlyWhereAllIsWell) {
  Machine m = Machine::start(true);
  const Hold known{.known = true, .changed = true};
  EXPECT_EQ(hold_seconds(m, 15'000), 0U) << "first contact: only whether it can";
  apply(m, Action::kPoll, holding(needs_key(kA), known));
  EXPECT_EQ(hold_seconds(m, 15'000), 15U);
  EXPECT_EQ(hold_seconds(m, 1'999), 1U);
  EXPECT_EQ(hold_seconds(m, 3'600'000), 30U);
  EXPECT_EQ(hold_seconds(m, 999), std::nullopt) << "polls come soon anyway";
  apply(m, Action::kPoll, PollFailed{"cut"});
  EXPECT_EQ(hold_seconds(m, 15'000), 0U);
  EXPECT_EQ(pause_ms(m, {}), 1'000U) << "a cut long poll is a failed poll";
  apply(m, Action::kPoll, needs_key(kA));
  EXPECT_EQ(hold_seconds(m, 15'000), 0U) << "it can no longer";
  EXPECT_EQ(pause_ms(m, {}), 15'000U);
}

TEST(Machine, ANotifyDuringAPollBeginsAnewWithoutBeingHeld) {
  Machine m = Machine::start(false);
  apply(m, Action::kPoll, holding(disabled(), {.known = true, .changed = true}));
  EXPECT_EQ(apply(m, Action::kPoll, Notified{}), Action::kPoll);
  EXPECT_EQ(m.state, "Unknown");
  EXPECT_EQ(hold_seconds(m, 15'000), 0U);
  apply(m, Action::kPoll, holding(needs_key(kA), {.known = true, .changed = true}));
  EXPECT_EQ(m.phase, Phase::kUnknown) << "its key is being loaded";
  apply(m, Action::kLoadKey, Loaded{});
  EXPECT_EQ(apply(m, Action::kPoll, Notified{}), Action::kPoll);
  EXPECT_EQ(m.phase, Phase::kLatched);
}

// Whatever happens in whatever order: what was latched once is open only with a key or after a good "disabled".
TEST(Machine, NoSequenceOfEventsOpensAClosedMachine) {
  const std::vector<Event> events{needs_key(std::nullopt),
                                  needs_key(kA),
                                  needs_key(kB),
                                  PollFailed{"silent"},
                                  Loaded{},
                                  NotStored{"none"},
                                  Acquired{kA},
                                  AcquireFailed{"403", true},
                                  AcquireFailed{"silence"},
                                  Saved{},
                                  SaveFailed{"full"},
                                  Attested{},
                                  AttestFailed{"401", true},
                                  AttestFailed{"silence"},
                                  Waited{},
                                  Notified{}};
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    Machine m = Machine::start(true);
    Action action = Action::kPoll;
    for (int i = 0; i < 200; ++i) {
      action = apply(m, action, events[random() % events.size()]);
      ASSERT_TRUE(m.closed() || !m.key_guid.empty()) << "seed " << seed << " step " << i;
      ASSERT_EQ(m.redirect, kAll) << "seed " << seed << " step " << i;
      ASSERT_TRUE(m.ever_latched);
    }
  }
}

TEST(Machine, EventsThatAnswerNothingOutstandingChangeNothing) {
  Machine m = Machine::start(false);
  EXPECT_EQ(apply(m, Action::kWait, Attested{}), Action::kWait);
  EXPECT_EQ(apply(m, Action::kPoll, Loaded{}), Action::kPoll);
  EXPECT_EQ(apply(m, Action::kWait, disabled()), Action::kWait);
  EXPECT_EQ(m.phase, Phase::kUnknown);
  EXPECT_EQ(m.key_guid, "");
}

}  // namespace
}  // namespace msp::channel
