// SPDX-License-Identifier: Apache-2.0
#include "channel/channel.h"

#include <fmt/core.h>

#include <cerrno>
#include <utility>

#include "base/log.h"
#include "protocol/guid.h"

namespace msp::channel {
namespace {

constexpr std::size_t kKeptAttempts = 8;

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
         a.document == b.document && a.ever_latched == b.ever_latched && a.disk_trouble == b.disk_trouble &&
         a.host_answers == b.host_answers && a.host_status == b.host_status && a.long_poll == b.long_poll &&
         a.signed_status == b.signed_status && a.key_doubted == b.key_doubted && a.key_refused == b.key_refused &&
         a.asks == b.asks && a.message == b.message && a.host_code == b.host_code &&
         a.host_time_offset_ms == b.host_time_offset_ms;
}

}  // namespace

Channel::Channel(Loop& loop, http::BufferPool& buffers, const Clock& clock, Dialer dialer, Settings settings,
                 Published published, Unchanged unchanged)
    : loop_(loop),
      clock_(clock),
      settings_(std::move(settings)),
      published_(std::move(published)),
      unchanged_(std::move(unchanged)),
      store_(settings_.key_directory, settings_.state_directory),
      guard_(settings_.state_directory, settings_.machine_file),
      client_(loop, buffers, clock, std::move(dialer), {settings_.host, settings_.timeout_ms}),
      machine_(Machine::start(true)),
      notify_(loop),
      random_(static_cast<std::minstd_rand::result_type>(clock.boottime_ns())) {}

Result<void> Channel::start() {
  if (auto prepared = store_.prepare(); !prepared.ok()) {
    return prepared;
  }
  std::string why;
  const bool ever = store_.ever_latched(why);
  if (!why.empty()) {
    log::error("cannot tell whether this machine was latched before ({}); it counts as latched", why);
  }
  machine_ = Machine::start(ever);
  guessed_ = !why.empty();
  known_ = ever && !guessed_;
  started_ms_ = clock_.boottime_ms();
  publish();
  task_.emplace(run());
  return {};
}

bool Channel::notify() {
  const bool anew = machine_.phase == Phase::kUnknown || machine_.phase == Phase::kDisabled;
  if (anew && holding_) {
    cut_ = true;
    client_.cut();
    return true;
  }
  notified_ = true;
  notify_.announce();
  return anew;
}

Task<void> Channel::run() {
  Action action = Action::kPoll;
  for (;;) {
    const Event event = co_await perform(action);
    action = apply(machine_, action, event);
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

std::optional<protocol::Wait> Channel::wait_to_ask() const {
  const auto seconds = hold_seconds(machine_, settings_.interval_ms);
  if (!seconds.has_value()) {
    return std::nullopt;
  }
  const auto& told = client_.told();
  return protocol::Wait{.tag = told.has_value() ? told->tag : std::string(protocol::kNoTag), .seconds = *seconds};
}

Hold Channel::hold_of(const std::optional<protocol::Wait>& asked, std::uint64_t begun_ms) const {
  const auto& told = client_.told();
  if (!asked.has_value() || !told.has_value()) {
    return {};
  }
  return {.known = true,
          .changed = told->tag != asked->tag,
          .asked_ms = std::uint64_t{1'000} * asked->seconds,
          .took_ms = clock_.boottime_ms() - begun_ms};
}

Task<Event> Channel::poll() {
  auto asked = wait_to_ask();
  std::uint64_t begun_ms = clock_.boottime_ms();
  holding_ = asked.has_value() && asked->seconds > 0;
  auto answer = co_await client_.status(asked, &guard_);
  holding_ = false;
  if (std::exchange(cut_, false)) {
    // Cut by ourselves, to begin anew: no failure of the host's.
    apply(machine_, Action::kPoll, Notified{});
    publish();
    asked = wait_to_ask();
    begun_ms = clock_.boottime_ms();
    answer = co_await client_.status(asked, &guard_);
  }
  if (!answer.value.has_value()) {
    co_return PollFailed{std::move(answer.why), std::move(answer.code), answer.status};
  }
  answered_ = true;
  Polled event{.facts = facts_of(*answer.value), .hold = hold_of(asked, begun_ms)};
  // The same document keeps its place, so that nobody compiles the same rules again.
  if (document_ == nullptr || !(*document_ == *answer.value)) {
    for (const std::string& remark : protocol::remarks(*answer.value)) {
      log::warn("{}", remark);
    }
    document_ = std::make_shared<const protocol::StatusDocument>(std::move(*answer.value));
  }
  co_return event;
}

Task<Event> Channel::acquire() {
  auto answer = co_await client_.acquire();
  if (!answer.value.has_value()) {
    co_return AcquireFailed{std::move(answer.why), answer.refused, std::move(answer.code)};
  }
  candidate_ = std::move(*answer.value);
  co_return Acquired{candidate_.guid};
}

Task<Event> Channel::attest() {
  auto answer = co_await client_.attest(candidate_);
  if (!answer.value.has_value()) {
    co_return AttestFailed{std::move(answer.why), answer.refused, std::move(answer.code)};
  }
  store_.prune(candidate_.guid);
  co_return Attested{};
}

/// A file may be whole and hold other digits than were saved: what the host has signed with tells.
Result<protocol::KeyDocument> Channel::load_fitting(const std::string& guid) const {
  auto key = store_.load(guid);
  if (!key.ok()) {
    return key;
  }
  const auto bytes = key->key();
  if (!bytes.ok() || !guard_.fits(guid, *bytes)) {
    return config_error(
        fmt::format("{} holds another key than the one that {} knows", store_.path_of(guid), guard_.path()),
        "one of the two is damaged: put it back");
  }
  return key;
}

Event Channel::load_key() {
  auto key = load_fitting(machine_.candidate);
  if (!key.ok()) {
    const std::string why = key.error().code == ENOENT ? store_.what_is_there() : key.error().text();
    return NotStored{fmt::format("the host names key {}, which cannot be used: {}", machine_.candidate, why)};
  }
  candidate_ = std::move(*key);
  return Loaded{};
}

/// The key in use is not the host's, and its file holds another one by now. One that was not read from a file is the
/// better of the two, whatever somebody has made of its file, unless the host's signature says that it has another.
void Channel::take_what_was_put_right() {
  if (key_ == nullptr || !(guard_.doubts() || (key_refused_ && loaded_))) {
    return;
  }
  auto stored = load_fitting(key_->guid);
  auto bytes = stored.ok() ? stored->key() : Result<Secret>(stored.error());
  if (!bytes.ok() || *bytes == key_->bytes) {
    return;
  }
  log::warn("the host refuses key {} as it was read, and its file holds another by now: that one is used", key_->guid);
  key_ = std::make_shared<const Key>(Key{stored->guid, stored->incarnation_id, std::move(*bytes)});
  guard_.use(nullptr);
  guard_.use(key_.get());
  key_refused_ = false;
  publish();
}

void Channel::key_refused(bool refused) {
  if (std::exchange(key_refused_, refused) != refused) {
    if (refused) {
      log::warn("the host refuses what is signed with the key in use");
    }
    publish();
  }
}

Event Channel::save_key() {
  // The file may be lost; what the host has signed with still knows the key of this id.
  if (const auto bytes = candidate_.key(); !bytes.ok() || !guard_.fits(candidate_.guid, *bytes)) {
    return SaveFailed{fmt::format("the host issues key {} again, with another key: it is refused", candidate_.guid)};
  }
  const auto before = store_.load(candidate_.guid);
  auto saved = store_.save(candidate_);
  if (!saved.ok()) {
    return SaveFailed{saved.error().text()};
  }
  if (!before.ok() && before.error().code == ENOENT) {
    note_attempt(candidate_.guid);
  }
  return Saved{};
}

/// The host may have taken an attestation without our hearing it, and name the key later: the last few stay. A file
/// that was there before this run is never removed for them: it may be the one that the host names again.
void Channel::note_attempt(const std::string& guid) {
  attempts_.push_back(guid);
  if (attempts_.size() > kKeptAttempts) {
    store_.remove(attempts_.front());
    attempts_.erase(attempts_.begin());
  }
}

Task<Event> Channel::wait() {
  const double jitter = std::uniform_real_distribution<double>(-1.0, 1.0)(random_);
  const std::uint64_t pause = pause_ms(
      machine_,
      {.interval_ms = settings_.interval_ms, .uptime_ms = clock_.boottime_ms() - started_ms_, .jitter = jitter});
  log::debug("the host is asked again in {} ms", pause);
  const Deadline until = loop_.after_ms(pause);
  for (;;) {
    if (std::exchange(notified_, false) && apply(machine_, Action::kWait, Notified{}) == Action::kPoll) {
      // The machine has moved on already; the poll that follows answers as after an ordinary pause.
      publish();
      co_return Waited{};
    }
    const bool announced = co_await notify_.wait(until);
    if (!announced) {
      co_return Waited{};
    }
  }
}

// Key and mark follow the machine: what it says is in use is in use, nothing else.
void Channel::settle() {
  const std::string in_use = key_ == nullptr ? std::string() : key_->guid;
  if (machine_.key_guid != in_use) {
    key_.reset();
    key_refused_ = false;
    loaded_ = std::erase(attempts_, machine_.key_guid) == 0;
    if (!machine_.key_guid.empty() && candidate_.guid == machine_.key_guid) {
      auto bytes = candidate_.key();
      if (bytes.ok()) {
        key_ = std::make_shared<const Key>(Key{candidate_.guid, candidate_.incarnation_id, std::move(*bytes)});
      }
    }
    if (key_ == nullptr && !machine_.key_guid.empty()) {
      log::bug("key {} should be in use but cannot be had; closed", machine_.key_guid);
      machine_.key_guid.clear();
    }
  }
  guard_.use(key_.get());
  if (machine_.candidate.empty()) {
    candidate_ = {};
  }
  // What a disk could not say for a moment must not close this machine for good: only a latch is noted, not a guess.
  guessed_ = guessed_ && key_ == nullptr;
  // A disk that says so already is told again, since it may have been about to lose it, but not while somebody may wait
  // for the key: a busy disk takes seconds (look_at_disk).
  if (!known_) {
    mark();
  }
}

void Channel::mark() {
  if (!machine_.ever_latched || marked_ || guessed_) {
    return;
  }
  const auto marked = store_.mark_latched();
  marked_ = marked.ok();
  std::string why = marked.ok() ? std::string() : marked.error().text();
  if (why == mark_trouble_) {
    return;
  }
  if (why.empty()) {
    log::info("that this machine was latched is noted by now");
  } else {
    log::error("cannot note that this machine was latched: {}", why);
  }
  mark_trouble_ = std::move(why);
}

void Channel::look_at_disk() {
  take_what_was_put_right();
  if (marked_ && !store_.is_marked()) {
    log::warn("somebody removed or replaced the mark that this machine was latched: it is written again");
    marked_ = false;
  }
  mark();
  std::string trouble;
  if (machine_.ever_latched && !marked_ && !guessed_) {
    trouble = "the mark that this machine was latched cannot be written";
  }
  if (const auto kept = guard_.keep(); !kept.ok()) {
    trouble = fmt::format("that the host signs its status cannot be noted: {}", kept.error().text());
  }
  if (key_ != nullptr) {
    if (const auto kept = store_.check(key_->guid, key_->bytes); !kept.ok()) {
      trouble = kept.error().text();
    }
  }
  if (trouble != disk_trouble_) {
    if (!trouble.empty()) {
      log::warn("what a restart needs is not on the disk: {}", trouble);
    }
    disk_trouble_ = std::move(trouble);
    publish();
  }
}

void Channel::publish() {
  auto next = std::make_shared<ChannelState>();
  next->phase = machine_.phase;
  next->state = machine_.state;
  next->closed = machine_.closed();
  next->key = key_;
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    if (document_ != nullptr) {
      next->services[i].mode = protocol::mode_text(*document_, static_cast<Service>(i));
    }
    next->services[i].redirect = machine_.redirect[i];
  }
  next->document = document_;
  next->ever_latched = machine_.ever_latched;
  next->disk_trouble = disk_trouble_;
  next->host_answers = machine_.host_answers;
  next->host_status = machine_.host_status;
  next->long_poll = machine_.hold.known;
  next->asks = client_.asks();
  next->signed_status = guard_.demands();
  // Where the host names another key, or none, that is on its way already.
  next->key_doubted = machine_.phase == Phase::kLatched && guard_.doubts();
  next->key_refused = key_refused_;
  next->message = machine_.message;
  next->host_code = machine_.host_code;
  next->host_time_offset_ms = client_.time().offset_ms();
  next->generation = state_ == nullptr ? 1 : state_->generation + 1;
  const bool answered = std::exchange(answered_, false);
  if (state_ != nullptr && same(*state_, *next)) {
    if (answered && unchanged_) {
      unchanged_();
    }
    return;
  }
  if (state_ == nullptr || state_->message != next->message || state_->phase != next->phase) {
    const bool good = next->host_answers || (next->phase == Phase::kUnknown && !next->closed);
    const bool trouble = next->phase == Phase::kRefused || machine_.refusals != 0 || !machine_.not_stored.empty();
    log::write(good && !trouble ? log::Level::kInfo : log::Level::kWarn,
               fmt::format("channel {}: {}", to_string(next->phase), next->message),
               {{"MSP_EVENT", "channel"},
                {"MSP_PHASE", std::string(to_string(next->phase))},
                {"MSP_KEY_GUID", next->key ? next->key->guid : std::string()},
                {"MSP_CLOSED", next->closed ? "1" : "0"}});
  }
  state_ = std::move(next);
  published_(state_);
}

}  // namespace msp::channel
