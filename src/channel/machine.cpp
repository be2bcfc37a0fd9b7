// SPDX-License-Identifier: Apache-2.0
#include "channel/machine.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace msp::channel {
namespace {

constexpr std::uint64_t kFastPauseMs = 1'000;
constexpr std::uint64_t kFastForMs = 5 * 60 * 1'000;
constexpr std::uint32_t kMostSkipped = 15;
constexpr double kJitterShare = 0.2;
constexpr std::uint64_t kMostHoldMs = 30'000;
// Between a change and the next poll: a host that has changes without end is asked no faster.
constexpr std::uint64_t kChangedPauseMs = 50;
// Timers are not exact: an answer this much too early was held to the end.
constexpr std::uint64_t kHoldGrainMs = 250;

void say(Machine& m, std::string message, std::string host_code = {}) {
  m.message = std::move(message);
  m.host_code = std::move(host_code);
}

Action use_candidate(Machine& m, std::string message) {
  m.key_guid = std::exchange(m.candidate, {});
  m.phase = Phase::kLatched;
  m.ever_latched = true;
  m.not_stored.clear();
  m.refusals = 0;
  m.skip_acquire = 0;
  say(m, std::move(message));
  return Action::kWait;
}

// A host that said no is asked again ever more rarely, but at once when its view of this machine changes.
Action acquire(Machine& m, std::string why) {
  m.candidate.clear();
  if (m.skip_acquire > 0) {
    --m.skip_acquire;
    m.phase = m.refused_by_host ? Phase::kRefused : Phase::kAcquiring;
    say(m, m.refusal, m.refusal_code);
    return Action::kWait;
  }
  m.phase = Phase::kAcquiring;
  say(m, std::move(why));
  return Action::kAcquire;
}

Action give_up(Machine& m, const std::string& why, bool refused, const std::string& code = {}) {
  m.candidate.clear();
  say(m, why, code);
  if (refused) {
    m.phase = Phase::kRefused;
    m.refused_by_host = true;
    if (!m.not_stored.empty()) {
      m.message = fmt::format("{}; {}", m.not_stored, why);
    }
    m.refusal = m.message;
    m.refusal_code = code;
    m.refusals = std::min(m.refusals + 1, 6U);
    m.skip_acquire = std::min((1U << (m.refusals - 1)) - 1, kMostSkipped);
  }
  return Action::kWait;
}

struct Transition {
  Machine& m;
  Action outstanding;

  bool expected(Action action) const { return outstanding == action; }

  Action operator()(const Polled& e) const {
    if (!expected(Action::kPoll)) {
      return outstanding;
    }
    if (m.host_guid != e.facts.key_guid || m.host_incarnation != e.facts.incarnation) {
      m.refusals = 0;
      m.skip_acquire = 0;
    }
    m.host_guid = e.facts.key_guid;
    m.host_incarnation = e.facts.incarnation;
    m.host_answers = true;
    m.host_status = 0;
    m.polls_failed = 0;
    m.hold = e.hold;
    m.state = e.facts.state;
    m.key_needed = e.facts.key_needed;
    // Set at every good poll, before any key is there (L.10, L.26); a disabled channel redirects nothing (L.9).
    m.redirect = m.key_needed ? e.facts.redirect : std::array<bool, kServiceCount>{};
    if (!m.key_needed) {
      m.phase = Phase::kDisabled;
      m.key_guid.clear();
      m.candidate.clear();
      say(m, "the host has the secure channel disabled");
      return Action::kWait;
    }
    if (m.host_guid.has_value() && *m.host_guid == m.key_guid) {
      m.phase = Phase::kLatched;
      say(m, fmt::format("key {} is in use", m.key_guid));
      return Action::kWait;
    }
    if (m.host_guid.has_value()) {
      m.candidate = *m.host_guid;
      return Action::kLoadKey;
    }
    m.not_stored.clear();
    return acquire(m, "the host names no key; asking it for one");
  }

  Action operator()(const PollFailed& e) const {
    if (!expected(Action::kPoll)) {
      return outstanding;
    }
    m.host_answers = false;
    m.host_status = e.status;
    m.hold = {};
    ++m.polls_failed;
    say(m, e.why, e.code);
    return Action::kWait;
  }

  Action operator()(const Loaded&) const {
    return expected(Action::kLoadKey) ? use_candidate(m, fmt::format("stored key {} is in use", m.candidate))
                                      : outstanding;
  }

  Action operator()(const NotStored& e) const {
    if (!expected(Action::kLoadKey)) {
      return outstanding;
    }
    m.not_stored = e.why;
    return acquire(m, e.why + "; asking the host for another");
  }

  Action operator()(const Acquired& e) const {
    if (!expected(Action::kAcquire)) {
      return outstanding;
    }
    m.candidate = e.guid;
    return Action::kSaveKey;
  }

  Action operator()(const AcquireFailed& e) const {
    return expected(Action::kAcquire) ? give_up(m, e.why, e.refused, e.code) : outstanding;
  }

  Action operator()(const Saved&) const {
    if (!expected(Action::kSaveKey)) {
      return outstanding;
    }
    m.phase = Phase::kAttesting;
    say(m, fmt::format("proving to the host that key {} is here", m.candidate));
    return Action::kAttest;
  }

  Action operator()(const SaveFailed& e) const {
    if (!expected(Action::kSaveKey)) {
      return outstanding;
    }
    // Each further attempt would leave one more pending key at the host: slow down as after a refusal.
    const Action next = give_up(m, e.why, true);
    m.phase = Phase::kAcquiring;
    m.refused_by_host = false;
    return next;
  }

  Action operator()(const Attested&) const {
    return expected(Action::kAttest) ? use_candidate(m, fmt::format("key {} is latched", m.candidate)) : outstanding;
  }

  Action operator()(const AttestFailed& e) const {
    // Without an answer the host may have latched it: the next poll says so, so there is nothing to slow down for.
    return expected(Action::kAttest) ? give_up(m, e.why, e.refused, e.code) : outstanding;
  }

  Action operator()(const Waited&) const { return expected(Action::kWait) ? Action::kPoll : outstanding; }

  Action operator()(const Notified&) const {
    // During a poll, too: the driver then cuts one that is held back.
    const bool may = expected(Action::kWait) || expected(Action::kPoll);
    if (!may || (m.phase != Phase::kUnknown && m.phase != Phase::kDisabled)) {
      return outstanding;
    }
    m.phase = Phase::kUnknown;
    m.state = "Unknown";
    m.hold = {};
    return Action::kPoll;
  }
};

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::kUnknown:
      return "unknown";
    case Phase::kDisabled:
      return "disabled";
    case Phase::kAcquiring:
      return "acquiring";
    case Phase::kAttesting:
      return "attesting";
    case Phase::kLatched:
      return "latched";
    case Phase::kRefused:
      return "refused";
  }
  return "unknown";
}

std::string_view to_string(Action action) {
  switch (action) {
    case Action::kPoll:
      return "poll";
    case Action::kLoadKey:
      return "load key";
    case Action::kAcquire:
      return "acquire";
    case Action::kSaveKey:
      return "save key";
    case Action::kAttest:
      return "attest";
    case Action::kWait:
      return "wait";
  }
  return "wait";
}

Machine Machine::start(bool ever_latched) {
  Machine m;
  m.ever_latched = ever_latched;
  m.key_needed = ever_latched;
  m.redirect.fill(ever_latched);
  m.message = ever_latched ? "closed until the host has answered: this machine was latched before"
                           : "no answer of the host yet; nothing is redirected";
  return m;
}

Action apply(Machine& machine, Action outstanding, const Event& event) {
  return std::visit(Transition{machine, outstanding}, event);
}

namespace {

std::uint64_t after_good_poll_ms(const Hold& hold, std::uint64_t interval_ms) {
  if (!hold.known) {
    return interval_ms;
  }
  if (hold.changed || hold.asked_ms == 0) {
    return std::min(kChangedPauseMs, interval_ms);
  }
  // Held to the end: the pause has been spent waiting. Else it answers at once whatever is asked, as one that cannot.
  const bool held = hold.took_ms + kHoldGrainMs >= hold.asked_ms;
  return held ? hold.asked_ms - std::min(hold.asked_ms, hold.took_ms) : interval_ms;
}

}  // namespace

std::optional<std::uint32_t> hold_seconds(const Machine& machine, std::uint64_t interval_ms) {
  if (interval_ms < 1'000) {
    return std::nullopt;
  }
  // After trouble, and at first contact, what matters is to hear the host at once.
  const bool sound = machine.host_answers && machine.polls_failed == 0 && machine.hold.known;
  return sound ? static_cast<std::uint32_t>(std::min(interval_ms, kMostHoldMs) / 1'000) : 0;
}

std::uint64_t pause_ms(const Machine& machine, const Pace& pace) {
  const std::uint64_t fast = std::min(kFastPauseMs, pace.interval_ms);
  if (machine.state == "Unknown" && pace.uptime_ms < kFastForMs) {
    return fast;
  }
  if (machine.polls_failed == 0) {
    return after_good_poll_ms(machine.hold, pace.interval_ms);
  }
  const std::uint32_t doublings = std::min(machine.polls_failed - 1, 16U);
  const std::uint64_t base = std::min(fast << doublings, pace.interval_ms);
  const auto spread = static_cast<double>(base) * kJitterShare * std::clamp(pace.jitter, -1.0, 1.0);
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(static_cast<double>(base) + spread));
}

}  // namespace msp::channel
