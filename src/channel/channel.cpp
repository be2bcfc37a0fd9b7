// SPDX-License-Identifier: Apache-2.0
#include "channel/channel.h"

#include <fmt/core.h>

#include <utility>

#include "base/log.h"
#include "protocol/guid.h"

namespace msp::channel {
namespace {

StatusFacts facts_of(const protocol::StatusDocument& document) {
  StatusFacts facts;
  facts.state = protocol::state_text(document);
  facts.key_needed = protocol::key_needed(document);
  facts.incarnation = document.key_incarnation_id;
  if (document.key_guid.has_value() && protocol::is_guid(*document.key_guid)) {
    facts.key_guid = document.key_guid;
  }
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    facts.redirect[i] = protocol::redirect_wanted(document, static_cast<Service>(i));
  }
  return facts;
}

bool same(const ChannelState& a, const ChannelState& b) {
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    if (a.services[i].mode != b.services[i].mode || a.services[i].redirect != b.services[i].redirect) {
      return false;
    }
  }
  return a.phase == b.phase && a.state == b.state && a.closed == b.closed && a.key == b.key &&
         a.document == b.document && a.ever_latched == b.ever_latched && a.host_answers == b.host_answers &&
         a.message == b.message && a.host_time_offset_ms == b.host_time_offset_ms;
}

}  // namespace

Channel::Channel(Loop& loop, http::BufferPool& buffers, const Clock& clock, Dialer dialer, Settings settings,
                 Published published)
    : x_loop(loop),
      x_clock(clock),
      x_settings(std::move(settings)),
      x_published(std::move(published)),
      x_store(x_settings.key_directory, x_settings.state_directory),
      x_client(loop, buffers, clock, std::move(dialer), {x_settings.host, x_settings.timeout_ms}),
      x_machine(Machine::start(true)),
      x_notify(loop),
      x_random(static_cast<std::minstd_rand::result_type>(clock.boottime_ns())) {}

Result<void> Channel::start() {
  if (auto prepared = x_store.prepare(); !prepared.ok()) {
    return prepared;
  }
  std::string why;
  const bool ever = x_store.ever_latched(why);
  if (!why.empty()) {
    log::error("cannot tell whether this machine was latched before ({}); it counts as latched", why);
  }
  x_machine = Machine::start(ever);
  x_started_ms = x_clock.boottime_ms();
  publish();
  x_task.emplace(run());
  return {};
}

bool Channel::notify() {
  x_notified = true;
  x_notify.announce();
  return x_machine.phase == Phase::kUnknown || x_machine.phase == Phase::kDisabled;
}

Task<void> Channel::run() {
  Action action = Action::kPoll;
  for (;;) {
    const Event event = co_await perform(action);
    action = apply(x_machine, action, event);
    settle();
    publish();
  }
}

Task<Event> Channel::perform(Action action) {
  switch (action) {
    case Action::kPoll: {
      auto event = co_await poll();
      co_return event;
    }
    case Action::kLoadKey:
      co_return load_key();
    case Action::kAcquire: {
      auto event = co_await acquire();
      co_return event;
    }
    case Action::kSaveKey:
      co_return save_key();
    case Action::kAttest: {
      auto event = co_await attest();
      co_return event;
    }
    case Action::kWait:
      break;
  }
  auto event = co_await wait();
  co_return event;
}

Task<Event> Channel::poll() {
  auto answer = co_await x_client.status();
  if (!answer.value.has_value()) {
    co_return PollFailed{std::move(answer.why)};
  }
  Polled event{facts_of(*answer.value)};
  // The same document keeps its place, so that nobody compiles the same rules again.
  if (x_document == nullptr || !(*x_document == *answer.value)) {
    for (const std::string& remark : protocol::remarks(*answer.value)) {
      log::warn("{}", remark);
    }
    x_document = std::make_shared<const protocol::StatusDocument>(std::move(*answer.value));
  }
  co_return event;
}

Task<Event> Channel::acquire() {
  auto answer = co_await x_client.acquire();
  if (!answer.value.has_value()) {
    co_return AcquireFailed{std::move(answer.why), answer.refused};
  }
  x_candidate = std::move(*answer.value);
  co_return Acquired{x_candidate.guid};
}

Task<Event> Channel::attest() {
  auto answer = co_await x_client.attest(x_candidate);
  if (!answer.value.has_value()) {
    co_return AttestFailed{std::move(answer.why), answer.refused};
  }
  x_store.prune(x_candidate.guid);
  co_return Attested{};
}

Event Channel::load_key() {
  auto key = x_store.load(x_machine.candidate);
  if (!key.ok()) {
    return NotStored{
        fmt::format("the host names key {}, which cannot be used: {}", x_machine.candidate, key.error().text())};
  }
  x_candidate = std::move(*key);
  return Loaded{};
}

Event Channel::save_key() {
  auto saved = x_store.save(x_candidate);
  if (!saved.ok()) {
    return SaveFailed{saved.error().text()};
  }
  return Saved{};
}

Task<Event> Channel::wait() {
  const double jitter = std::uniform_real_distribution<double>(-1.0, 1.0)(x_random);
  const std::uint64_t pause = pause_ms(
      x_machine,
      {.interval_ms = x_settings.interval_ms, .uptime_ms = x_clock.boottime_ms() - x_started_ms, .jitter = jitter});
  const Deadline until = x_loop.after_ms(pause);
  for (;;) {
    if (std::exchange(x_notified, false) && apply(x_machine, Action::kWait, Notified{}) == Action::kPoll) {
      // The machine has moved on already; the poll that follows answers as after an ordinary pause.
      publish();
      co_return Waited{};
    }
    const bool announced = co_await x_notify.wait(until);
    if (!announced) {
      co_return Waited{};
    }
  }
}

// Key and mark follow the machine: what it says is in use is in use, nothing else.
void Channel::settle() {
  const std::string in_use = x_key == nullptr ? std::string() : x_key->guid;
  if (x_machine.key_guid != in_use) {
    x_key.reset();
    if (!x_machine.key_guid.empty() && x_candidate.guid == x_machine.key_guid) {
      auto bytes = x_candidate.key();
      if (bytes.ok()) {
        x_key = std::make_shared<const Key>(Key{x_candidate.guid, x_candidate.incarnation_id, std::move(*bytes)});
      }
    }
    if (x_key == nullptr && !x_machine.key_guid.empty()) {
      log::bug("key {} should be in use but cannot be had; closed", x_machine.key_guid);
      x_machine.key_guid.clear();
    }
  }
  if (x_machine.candidate.empty()) {
    x_candidate = {};
  }
  if (x_machine.ever_latched && !x_marked) {
    const auto marked = x_store.mark_latched();
    x_marked = marked.ok();
    if (!marked.ok()) {
      log::error("cannot note that this machine was latched: {}", marked.error().text());
    }
  }
}

void Channel::publish() {
  auto next = std::make_shared<ChannelState>();
  next->phase = x_machine.phase;
  next->state = x_machine.state;
  next->closed = x_machine.closed();
  next->key = x_key;
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    if (x_document != nullptr) {
      next->services[i].mode = protocol::mode_text(*x_document, static_cast<Service>(i));
    }
    next->services[i].redirect = x_machine.redirect[i];
  }
  next->document = x_document;
  next->ever_latched = x_machine.ever_latched;
  next->host_answers = x_machine.host_answers;
  next->message = x_machine.message;
  next->host_time_offset_ms = x_client.time().offset_ms();
  next->generation = x_state == nullptr ? 1 : x_state->generation + 1;
  if (x_state != nullptr && same(*x_state, *next)) {
    return;
  }
  if (x_state == nullptr || x_state->message != next->message || x_state->phase != next->phase) {
    const bool good = next->host_answers || next->phase == Phase::kUnknown;
    log::write(good && next->phase != Phase::kRefused ? log::Level::kInfo : log::Level::kWarn,
               fmt::format("channel {}: {}", to_string(next->phase), next->message));
  }
  x_state = std::move(next);
  x_published(x_state);
}

}  // namespace msp::channel
