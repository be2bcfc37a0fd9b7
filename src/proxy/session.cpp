// SPDX-License-Identifier: Apache-2.0
#include "proxy/session.h"

#include <time.h>

#include "http/head_reader.h"
#include "http/linger.h"
#include "protocol/local_endpoint.h"
#include "proxy/admission.h"
#include "proxy/signer.h"

namespace msp::proxy {
namespace {

// After a refusal the client may still be sending: what arrives is read and dropped for a moment, or the reset that a
// close with unread bytes causes could overtake the answer.
constexpr std::uint64_t kLingerMs = 1000;
constexpr std::size_t kLingerBytes = 256 * 1024;

// For the rules' paths to be opened again and looked at, and for a cgroup: some microseconds each.
constexpr std::uint64_t kSettleMs = 1000;

std::uint64_t boottime_ns() {
  timespec ts{};
  ::clock_gettime(CLOCK_BOOTTIME, &ts);
  return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(ts.tv_nsec);
}

std::int64_t realtime_ns() {
  timespec ts{};
  ::clock_gettime(CLOCK_REALTIME, &ts);
  return static_cast<std::int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}

bool is_denial(int status) { return status == 403 || status == 421; }

void bump(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

Session::Session(DataPlane& plane, Fd socket, std::uint64_t number, identity::ConnectionIdentity caller)
    : plane_(plane), stream_(plane.loop_, std::move(socket)), caller_(std::move(caller)), number_(number) {
  if (plane_.gate_->rules) {
    rules_seen_ = plane_.gate_->rules->generation;
  }
  if (caller_.known && !caller_.direct) {
    service_ = plane_.settings_.service_at(caller_.destination);
  }
}

void Session::wind_down() {
  winding_down_ = true;
  if (idle_) {
    stream_.cancel();
  }
}

void Session::abort() {
  winding_down_ = true;
  stream_.cancel();
  if (upstream_ != nullptr) {
    upstream_->cancel();
  }
}

Task<> Session::turn_away(Answer answer) {
  winding_down_ = true;
  auto exchange = plane_.exchanges_.take();
  begin(*exchange);
  co_await refuse_with(*exchange, answer, answer.code);
  plane_.exchanges_.give_back(std::move(exchange));
  co_await linger();
  plane_.ended(*this);
}

Task<> Session::linger() {
  if (!buffer_) {
    buffer_ = plane_.buffers_.take();
  }
  buffer_.clear();
  co_await http::linger(stream_, buffer_, plane_.loop_.after_ms(kLingerMs), kLingerBytes);
}

Task<> Session::run() {
  while (!winding_down_) {
    if (buffer_.empty()) {
      buffer_.release();
      idle_ = true;
      const IoResult ready = co_await stream_.wait_readable(plane_.loop_.after_ms(plane_.settings_.idle_timeout_ms));
      idle_ = false;
      if (!ready.ok()) {
        break;
      }
    }
    if (!buffer_) {
      buffer_ = plane_.buffers_.take();
    }
    const bool keep = co_await serve();
    if (!keep) {
      break;
    }
  }
  if (unread_input_) {
    co_await linger();
  }
  plane_.ended(*this);
}

Task<bool> Session::serve() {
  auto exchange = plane_.exchanges_.take();
  const Deadline deadline = plane_.loop_.after_ms(plane_.settings_.head_timeout_ms);
  const http::HeadRead got = co_await http::read_request_head(stream_, buffer_, exchange->head, deadline);
  bool keep = false;
  if (got.status == http::HeadStatus::kComplete) {
    exchange->have_head = true;
    exchange->head_size = got.size;
    begin(*exchange);
    bump(plane_.counters_.requests);
    auto handled = co_await handle(*exchange);
    keep = handled;
  } else if (got.any_bytes || got.status == http::HeadStatus::kBad) {
    begin(*exchange);
    bump(plane_.counters_.malformed);
    if (got.status == http::HeadStatus::kBad) {
      unread_input_ = true;
      co_await refuse_with(*exchange, refuse(got.refusal), got.refusal.code);
    } else if (got.status == http::HeadStatus::kTimeout) {
      co_await refuse_with(*exchange, head_timeout(), "head_timeout");
    } else {
      exchange->record.reason = "head_incomplete";
      record(*exchange);
    }
  }
  plane_.exchanges_.give_back(std::move(exchange));
  co_return keep && !winding_down_;
}

void Session::begin(Exchange& x) {
  x.started_ns = boottime_ns();
  x.record.time_ns = realtime_ns();
  x.record.request = plane_.ids_.next();
  x.record.connection = number_;
}

Task<bool> Session::handle(Exchange& x) {
  if (const auto refused = read_request(x, plane_.settings_)) {
    bump(plane_.counters_.malformed);
    unread_input_ = true;
    auto done = co_await refuse_with(x, *refused, refused->code);
    co_return done;
  }
  // Of who is unknown, nobody can say which address he meant: only paths that nobody else has are his.
  if (caller_.known ? caller_.direct : protocol::local_endpoint(x.target).has_value()) {
    auto done = co_await serve_at_listener(x);
    co_return done;
  }
  const auto address = addressee(caller_, service_, plane_.settings_);
  if (!address) {
    bump(plane_.counters_.denied);
    auto done = co_await refuse_with(x, address.error(), address.error().code);
    co_return done;
  }
  x.service = address->service;
  if (const auto refused = screen_request(x, address->to)) {
    bump(is_denial(refused->status) ? plane_.counters_.denied : plane_.counters_.malformed);
    auto done = co_await refuse_with(x, *refused, refused->code);
    co_return done;
  }
  if (x.headers.stripped() != 0) {
    x.record.stripped = true;
    bump(plane_.counters_.stripped);
  }
  // Suspending costs: most requests have nothing to wait for.
  follow_rules();
  if (!ready() || must_settle_executable(x.service) || must_settle_cgroup(x.service)) {
    auto unprepared = co_await prepare(x.service);
    if (unprepared) {
      bump(plane_.counters_.not_ready);
      auto done = co_await refuse_with(x, *unprepared, "not_ready");
      co_return done;
    }
  }
  x.decided = plane_.gate_;
  auto decision = decide(x, caller_, *x.decided->rules);
  if (auto* denial = std::get_if<policy::Denial>(&decision)) {
    note(x.record, *denial);
    Answer answer = denial_answer(*denial);
    // What has no canonical form is the client's mistake, whatever the rules say.
    bump(is_denial(answer.status) ? plane_.counters_.denied : plane_.counters_.malformed);
    auto done = co_await refuse_with(x, answer, answer.code);
    co_return done;
  }
  auto& permit = std::get<policy::Permit>(decision);
  note(x.record, permit);
  auto done = co_await forward(x, std::move(permit));
  co_return done;
}

Task<bool> Session::serve_at_listener(Exchange& x) {
  auto refused = screen_request(x, at_listener(plane_.settings_.listener));
  if (!refused) {
    if (auto local = plane_.local_.answer(x.head, x.target, caller_)) {
      auto done = co_await answer_locally(x, std::move(*local));
      co_return done;
    }
    refused = direct_connection();
  }
  bump(is_denial(refused->status) ? plane_.counters_.denied : plane_.counters_.malformed);
  auto done = co_await refuse_with(x, *refused, refused->code);
  co_return done;
}

bool Session::ready() const { return plane_.gate_->readiness != Readiness::kNotReady && plane_.gate_->rules; }

Task<bool> Session::wait_ready() {
  const Deadline until = plane_.loop_.after_ms(plane_.settings_.not_ready_hold_ms);
  while (!ready()) {
    const bool announced = co_await plane_.gate_changed_.wait(until);
    if (!announced) {
      break;
    }
  }
  co_return ready();
}

void Session::follow_rules() {
  const auto& rules = plane_.gate_->rules;
  if (rules && rules->generation != rules_seen_) {
    rules_seen_ = rules->generation;
    caller_.exe_rule_paths.clear();
  }
}

// Asked for every request: rules that came after the connection may name what was nobody's executable before.
bool Session::must_settle_executable(Service service) const {
  const auto& rules = plane_.gate_->rules->of(service);
  return caller_.exe_rule_paths.empty() && rules && rules->names_executables();
}

bool Session::must_settle_cgroup(Service service) const {
  const auto& rules = plane_.gate_->rules->of(service);
  return rules && rules->names_cgroups() && !caller_.cgroup && !caller_.cgroup_gone;
}

Task<std::optional<Answer>> Session::prepare(Service service) {
  const bool open = co_await wait_ready();
  if (!open) {
    co_return not_ready(service);
  }
  const Deadline until = plane_.loop_.after_ms(kSettleMs);
  for (;;) {
    // While this waited, other rules may have come, or none may hold any more.
    if (!ready()) {
      co_return not_ready(service);
    }
    follow_rules();
    const bool executable = !must_settle_executable(service) || plane_.identities_.settle(caller_);
    const bool cgroup = !must_settle_cgroup(service) || plane_.identities_.settle_cgroup(caller_);
    if (executable && must_settle_executable(service) && caller_.exe_not_yet) {
      co_return executable_not_ready(service);
    }
    if (executable && cgroup) {
      co_return std::nullopt;
    }
    const bool announced = co_await plane_.identities_changed_.wait(until);
    if (!announced) {
      co_return executable ? cgroup_not_ready(service) : executable_not_ready(service);
    }
  }
}

Task<bool> Session::refuse_with(Exchange& x, Answer answer, std::string_view reason) {
  answer.close = answer.close || x.body_pending || !x.persistent;
  unread_input_ = unread_input_ || x.body_pending;
  x.out.clear();
  const audit::RequestId::Text request = x.record.request.text();
  write_answer(x.out, answer, audit::view(request), x.have_head ? x.head.minor_version : 1,
               x.have_head && x.head.method == "HEAD", plane_.date());
  const IoResult sent = co_await stream_.write_while_taken({x.out}, bytes_ms());
  x.record.status = sent.ok() ? static_cast<std::uint16_t>(answer.status) : std::uint16_t{0};
  x.record.reason = reason;
  // Whatever the rules said: it was not served.
  x.record.decision = audit::Decision::kDeny;
  record(x);
  consume_head(x);
  co_return sent.ok() && !answer.close;
}

Task<bool> Session::answer_locally(Exchange& x, LocalAnswer local) {
  bump(plane_.counters_.local);
  x.record.service = "local";
  if (!local.code.empty()) {
    auto done = co_await refuse_with(x, {local.status, local.code, local.what}, local.code);
    co_return done;
  }
  const bool close = x.body_pending || !x.persistent;
  unread_input_ = x.body_pending;
  x.out.clear();
  write_json(x.out, local.status, local.body, x.head.minor_version, x.head.method == "HEAD", close, plane_.date());
  const IoResult sent = co_await stream_.write_while_taken({x.out}, bytes_ms());
  x.record.decision = audit::Decision::kPermit;
  x.record.status = sent.ok() ? static_cast<std::uint16_t>(local.status) : std::uint16_t{0};
  x.record.bytes_out = local.body.size();
  record(x);
  consume_head(x);
  co_return sent.ok() && !close;
}

void Session::consume_head(Exchange& x) {
  if (!x.consumed) {
    buffer_.consume(x.head_size);
    x.consumed = true;
  }
}

std::uint64_t Session::elapsed_us(const Exchange& x) { return (boottime_ns() - x.started_ns) / 1000; }

void Session::record(Exchange& x) {
  fill_caller(x.record, caller_, x.have_head ? &x : nullptr, service_);
  if (x.record.duration_us == 0) {
    x.record.duration_us = elapsed_us(x);
  }
  plane_.audit_.write(x.record);
}

}  // namespace msp::proxy
