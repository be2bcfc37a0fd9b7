// SPDX-License-Identifier: Apache-2.0
#include "tests/component/sim_agent.h"

#include <fmt/format.h>

#include "protocol/guid.h"
#include "protocol/status.h"

namespace msp::sim {
namespace {

using channel::Action;

bool is_refusal(int status) { return status >= 400 && status < 500; }

}  // namespace

SimAgent::SimAgent(std::string directory, const FakeClock& clock)
    : directory_(std::move(directory)), clock_(clock), store_(directory_ + "/keys", directory_) {
  start();
}

void SimAgent::start() {
  const auto prepared = store_.prepare();
  EXPECT_TRUE(prepared.ok()) << prepared.error().text();
  time_ = {};
  candidate_ = {};
  key_.reset();
  key_guid_.clear();
  told_enabled_.reset();
  marked_ = false;
  action_ = Action::kPoll;
  started_ms_ = clock_.boottime_ms();
  machine_ = channel::Machine::start(has_traces_of_a_latch());
  guard_.emplace(directory_, directory_ + "/no-such-machine");
  const auto ready = guard_->prepare();
  EXPECT_TRUE(ready.ok()) << ready.error().text();
}

bool SimAgent::has_traces_of_a_latch() const {
  std::string why;
  return store_.ever_latched(why);
}

test::RequestText SimAgent::request() {
  test::RequestText text;
  switch (action_) {
    case Action::kPoll:
      text.target = protocol::kStatusPath;
      asked_ = guard_->ask();
      asked_date_ = test::date_text(now_seconds());
      if (asked_) {
        text.header(std::string(protocol::kSignRequestHeader), protocol::format_sign_request(*asked_));
        if (!guard_->ask_next().empty()) {
          text.header(std::string(protocol::kSignNextHeader), guard_->ask_next());
        }
      }
      break;
    case Action::kAcquire:
      text.method = "POST";
      text.target = protocol::kKeyPath;
      text.body = R"({"authorizationScheme": "Azure-HMAC-SHA256"})";
      break;
    case Action::kAttest:
      text.method = "POST";
      text.target = protocol::attestation_path(candidate_.guid);
      break;
    default:
      ADD_FAILURE() << "nothing to send";
  }
  text = test::from_agent(std::move(text), now_seconds());
  if (action_ == Action::kAttest) {
    const auto key = candidate_.key();
    text = test::signed_with(std::move(text), key->reveal(), candidate_.guid);
  }
  return text;
}

channel::Event SimAgent::polled(const Reply& reply) {
  auto document = protocol::read_status(reply.body, "application/json; charset=utf-8");
  if (reply.status != 200) {
    return channel::PollFailed{fmt::format("the host answered {}", reply.status)};
  }
  const auto doubt = guard_->judge(asked_,
                                   {.header = reply.signature.empty() ? nullptr : &reply.signature,
                                    .next = reply.next_signature.empty() ? nullptr : &reply.next_signature},
                                   {.nonce = asked_ ? std::string_view(asked_->nonce) : std::string_view(),
                                    .status = reply.status,
                                    .asked_date = asked_date_,
                                    .date = reply.date,
                                    .content_type = reply.content_type,
                                    .wait = {},
                                    .asks = reply.asks,
                                    .body = reply.body});
  if (doubt || !document.ok()) {
    return channel::PollFailed{doubt ? doubt->why : "garbage"};
  }
  time_.heard(reply.date, clock_.boottime_ms());
  channel::StatusFacts facts;
  facts.state = protocol::state_text(*document);
  facts.key_needed = protocol::key_needed(*document);
  facts.incarnation = document->key_incarnation_id;
  facts.key_guid = document->key_guid;
  facts.redirect.fill(facts.key_needed);
  told_enabled_ = facts.key_needed;
  return channel::Polled{std::move(facts)};
}

channel::Event SimAgent::acquired(const Reply& reply) {
  auto key = protocol::parse_key_document(reply.body, Source::kHost);
  if (reply.status != 200 || !key.ok()) {
    return channel::AcquireFailed{fmt::format("the host answered {}", reply.status), is_refusal(reply.status)};
  }
  candidate_ = std::move(*key);
  return channel::Acquired{candidate_.guid};
}

void SimAgent::hear(const Reply& reply) {
  switch (action_) {
    case Action::kPoll:
      return step(polled(reply));
    case Action::kAcquire:
      return step(acquired(reply));
    case Action::kAttest:
      if (reply.status == 200) {
        store_.prune(candidate_.guid);
        return step(channel::Attested{});
      }
      return step(channel::AttestFailed{fmt::format("the host answered {}", reply.status), is_refusal(reply.status)});
    default:
      ADD_FAILURE() << "nobody listens";
  }
}

void SimAgent::hear_nothing() {
  switch (action_) {
    case Action::kPoll:
      return step(channel::PollFailed{"silence"});
    case Action::kAcquire:
      return step(channel::AcquireFailed{"silence", false});
    case Action::kAttest:
      return step(channel::AttestFailed{"silence", false});
    default:
      ADD_FAILURE() << "nobody listens";
  }
}

void SimAgent::use_disk(bool disk_fails) {
  if (action_ == Action::kLoadKey) {
    auto key = store_.load(machine_.candidate);
    const auto bytes = key.ok() ? key->key() : Result<Secret>(key.error());
    if (disk_fails || !bytes.ok() || !guard_->fits(key->guid, *bytes)) {
      return step(channel::NotStored{"it cannot be read"});
    }
    candidate_ = std::move(*key);
    return step(channel::Loaded{});
  }
  const auto saved = disk_fails ? Result<void>(errno_error("write", ENOSPC)) : store_.save(candidate_);
  step(saved.ok() ? channel::Event(channel::Saved{}) : channel::Event(channel::SaveFailed{saved.error().text()}));
}

void SimAgent::wait_over(bool notified) {
  // Where a notify means nothing the pause goes on; here it simply ends a little earlier.
  if (notified && apply(machine_, Action::kWait, channel::Notified{}) == Action::kPoll) {
    action_ = Action::kPoll;
    return;
  }
  step(channel::Waited{});
}

std::uint64_t SimAgent::pause_ms(double jitter) const {
  return channel::pause_ms(machine_, {.uptime_ms = clock_.boottime_ms() - started_ms_, .jitter = jitter});
}

void SimAgent::step(const channel::Event& event) {
  action_ = apply(machine_, action_, event);
  settle();
}

// As Channel::settle(): what the machine says is in use is in use, nothing else.
void SimAgent::settle() {
  if (machine_.key_guid != key_guid_) {
    key_.reset();
    if (!machine_.key_guid.empty()) {
      ASSERT_EQ(candidate_.guid, machine_.key_guid);
      key_ = std::move(*candidate_.key());
    }
    key_guid_ = machine_.key_guid;
    const channel::Key in_use{.guid = key_guid_, .incarnation = {}, .bytes = key_ ? key_->clone() : Secret()};
    guard_->use(key_ ? &in_use : nullptr);
  }
  if (machine_.candidate.empty()) {
    candidate_ = {};
  }
  if (machine_.ever_latched && !marked_) {
    marked_ = store_.mark_latched().ok();
    ASSERT_TRUE(marked_);
  }
}

std::optional<test::RequestText> SimAgent::forward(const test::RequestText& asked) const {
  if (machine_.closed()) {
    return std::nullopt;
  }
  if (!key_.has_value()) {
    return asked;
  }
  return test::signed_with(test::from_agent(asked, now_seconds()), key_->reveal(), key_guid_);
}

}  // namespace msp::sim
