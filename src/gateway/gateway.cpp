// SPDX-License-Identifier: Apache-2.0
#include "gateway/gateway.h"

#include <algorithm>
#include <bit>

#include "gateway/hostga.h"
#include "gateway/imds.h"
#include "gateway/imds_answer.h"
#include "gateway/imds_identity.h"
#include "gateway/source_addresses.h"
#include "gateway/wireserver.h"

namespace msp::gateway {

namespace {

bool is_of_channel(Service service, const http::Request& request) {
  return service == Service::kWireServer && ChannelApi::owns(request.target.path);
}

Answer refuse_upstream(Service service, const http::Request& request, Reason reason) {
  if (service != Service::kImds || reason != Reason::kUpstreamDown) {
    return refuse(request, reason);
  }
  // Clients of IMDS take 502 and 503 for its last word, and ask again after 410 (protocol.md J.2).
  constexpr int kGoneForNow = 410;
  const ReasonFacts& fact = facts(reason);
  Answer answer{.response = http::Response::error(request, kGoneForNow, fact.code, fact.advice), .reason = reason};
  answer.response.header("retry-after", "1");
  return answer;
}

}  // namespace

/// What the log says about a request.
struct Gateway::Course {
  Outcome outcome = Outcome::kRefused;
  Reason reason = Reason::kNone;
  std::optional<bool> elevated;
  std::optional<protocol::Caller> caller;
};

Gateway::Gateway(Loop& loop, http::BufferPool& buffers, VmRegistry& registry, KeyRing& keys, AccessLog& log,
                 const Signers& signers, const Clock& clock, const Config& config, std::uint64_t epoch)
    : registry_(registry),
      log_(log),
      signers_(signers),
      clock_(clock),
      limits_(config.limits),
      asking_{.replay = config.replay, .caller = config.caller, .epoch = epoch},
      verifier_(keys, clock, config.date_window_seconds, asking_),
      upstream_(loop, buffers, config.upstream),
      // Half of the connections stay for those who do not wait.
      waits_(loop, static_cast<std::size_t>(config.limits.connections / 2)),
      channel_(keys, verifier_, waits_, clock, asking_, config.limits.keys_per_second),
      state_(config.limits.report_bytes) {}

http::Party Gateway::party(const Entrance& by, const http::ConnectionInfo& connection) const {
  const Vm* vm = registry_.find(connection.peer.address, by.network);
  if (vm == nullptr) {
    return {.id = 0, .most_connections = limits_.connections_of_unknown};
  }
  // A machine keeps its place while it is there; who takes the place after it inherits what is open still.
  return {.id = std::bit_cast<std::uintptr_t>(vm), .most_connections = limits_.connections_per_machine};
}

std::optional<http::Response> Gateway::before_body(const Entrance& by, const http::Request& request) {
  Vm* vm = registry_.find(request.connection.peer.address, by.network);
  const bool unsigned_is_refused = vm != nullptr && vm->policy(by.service).mode == Mode::kEnforce &&
                                   !is_exempt(by.service, request) && !is_of_channel(by.service, request);
  if (vm == nullptr || (unsigned_is_refused && !verifier_.may_verify(request))) {
    return handle(by, request);
  }
  return std::nullopt;
}

std::uint64_t Gateway::body_limit(const Entrance& by, const http::Request& request) const {
  // What nobody has to read whole is not kept: it may be as large as what goes unsigned.
  const bool streamed = passes_on(by, request) == http::Passing::kStreamed;
  return streamed || is_exempt(by.service, request) ? limits_.exempt_body_bytes : limits_.signed_body_bytes;
}

bool Gateway::asks_to_wait(Service service, const http::Request& request) {
  if (service != Service::kWireServer) {
    return false;
  }
  const auto wait = ChannelApi::asked_wait(request);
  return wait && wait->seconds > 0;
}

Task<void> Gateway::hold(const Entrance& by, const http::Request& request) {
  const auto wait = ChannelApi::asked_wait(request);
  const Ipv4Address from = request.connection.peer.address;
  const Vm* vm = registry_.find(from, by.network);
  if (!wait || vm == nullptr) {
    co_return;
  }
  // The machine may be gone, or another one, by the time that somebody looks again.
  auto changed = [this, from, &by, tag = wait->tag] {
    const Vm* now = registry_.find(from, by.network);
    return now == nullptr || status_tag(status_document(*now)) != tag;
  };
  const std::uint64_t seconds = std::min(wait->seconds, protocol::kMostWaitSeconds);
  co_await waits_.hold(vm->model.vm_id, seconds * 1000, std::move(changed));
}

http::Response Gateway::handle(const Entrance& by, const http::Request& request) {
  Course course;
  Vm* vm = registry_.find(request.connection.peer.address, by.network);
  if (vm == nullptr) {
    return refuse_unknown(by, request);
  }
  ++vm->counters.requests;
  Answer result = answer(by.service, *vm, request, course);
  if (result.reason != Reason::kNone && course.outcome != Outcome::kAudited) {
    course.reason = result.reason;
  }
  count(by.service, *vm, request, course);
  record(by, request, vm, course, result.response.status());
  return std::move(result.response);
}

http::Response Gateway::refuse_unknown(const Entrance& by, const http::Request& request) {
  note_unknown(by, request.connection.peer);
  Answer refusal = refuse(request, Reason::kUnknownCaller);
  refusal.response.close();  // whoever is nobody holds no connection either
  Course course;
  course.reason = refusal.reason;
  record(by, request, nullptr, course, refusal.response.status());
  return std::move(refusal.response);
}

void Gateway::note_unknown(const Entrance& by, const Ipv4Endpoint& peer) {
  ++unknown_callers_;
  if (!state_.unknown_callers.asked(peer.address, by.network, clock_.realtime_ns())) {
    return;
  }
  if (const auto dropped = unknown_alarms_.admit(clock_.boottime_ms())) {
    log::warn("{} belongs to no virtual machine: refused ({} such lines left out)",
              place_text(peer.address, by.network), *dropped);
    log::hint(
        "a new machine, a copy, or one whose address is another now: mspctl vm apply FILE --source-address {0}{1}{2}; "
        "one "
        "that came from another host: mspctl vm import FILE --source-address {0}{1}{2} (docs/disks.md); else find out "
        "who it "
        "is",
        address_text(peer), by.network.empty() ? "" : " --network ", by.network);
  }
}

void Gateway::count(Service service, Vm& vm, const http::Request& request, const Course& course) {
  if (course.reason == Reason::kNone) {
    return;
  }
  if (course.outcome == Outcome::kAudited) {
    ++vm.counters.audited;
    return;
  }
  ++vm.counters.refused[static_cast<std::size_t>(course.reason)];
  state_.audits.refused(vm.model.vm_id, seen(service, request, course));
}

Answer Gateway::answer(Service service, Vm& vm, const http::Request& request, Course& course) {
  if (request.target.form != http::TargetForm::kOrigin) {
    return refuse(request, Reason::kBadTarget);
  }
  if (is_of_channel(service, request)) {
    Answer result = channel_.handle(vm, request);
    course.outcome = result.reason == Reason::kNone ? Outcome::kChannel : Outcome::kRefused;
    return result;
  }
  if (auto refusal = judge(service, vm, request, course)) {
    return std::move(*refusal);
  }
  return serve(service, vm, request);
}

std::optional<Answer> Gateway::judge(Service service, Vm& vm, const http::Request& request, Course& course) {
  const Mode mode = vm.policy(service).mode;
  if (mode == Mode::kDisabled) {
    course.outcome = Outcome::kOpen;
    return std::nullopt;
  }
  if (is_exempt(service, request)) {
    course.outcome = Outcome::kExempt;
    return std::nullopt;
  }
  Verdict verdict = verifier_.verify(vm, request);
  if (verdict.reason == Reason::kNone) {
    course.elevated = verdict.elevated;
    if (!verdict.elevated && service != Service::kImds) {
      verdict.reason = Reason::kNotElevated;
    }
  }
  course.caller = std::move(verdict.caller);
  if (verdict.reason != Reason::kNone && mode == Mode::kEnforce) {
    return refuse_unverified(vm, request, verdict.reason);
  }
  course.outcome = verdict.reason == Reason::kNone ? Outcome::kVerified : Outcome::kAudited;
  course.reason = verdict.reason;
  if (mode == Mode::kAudit) {
    state_.audits.audited(vm.model.vm_id, seen(service, request, course));
  }
  return std::nullopt;
}

std::optional<Answer> Gateway::limit(Service service, Vm& vm, const http::Request& request) {
  if (service != Service::kImds) {
    return std::nullopt;
  }
  // What was refused before has not come this far, so nobody else can use up what a machine's own clients may ask.
  const bool identity = request.target.path.starts_with(kIdentityPath);
  RateLimit& rate = identity ? vm.identity_rate : vm.imds_rate;
  const std::uint64_t wait =
      rate.take(identity ? limits_.identity_per_second : limits_.imds_per_second, clock_.boottime_ns());
  if (wait == 0) {
    return std::nullopt;
  }
  Answer refusal = identity
                       ? imds_identity_error(Reason::kTooMany, 429, "too_many_requests", facts(Reason::kTooMany).advice)
                       : imds_error(Reason::kTooMany);
  refusal.response.header("retry-after", std::to_string(wait));
  return refusal;
}

http::Passing Gateway::passes_on(const Entrance& by, const http::Request& request) const {
  const Service service = by.service;
  if (!upstream_.serves(service) || is_of_channel(service, request) ||
      request.target.form != http::TargetForm::kOrigin) {
    return http::Passing::kNo;
  }
  const Vm* vm = registry_.find(request.connection.peer.address, by.network);
  const bool unverified = vm != nullptr && (vm->policy(service).mode == Mode::kDisabled || is_exempt(service, request));
  return unverified ? http::Passing::kStreamed : http::Passing::kCollected;
}

Task<void> Gateway::pass(const Entrance& by, const http::Request& request, http::Passage& passage) {
  const Service service = by.service;
  Course course;
  Vm* vm = registry_.find(request.connection.peer.address, by.network);
  if (vm == nullptr) {
    co_await passage.answer(refuse_unknown(by, request));
    co_return;
  }
  ++vm->counters.requests;
  std::optional<Answer> refusal = judge(service, *vm, request, course);
  if (!refusal && service == Service::kImds && is_forwarded(request)) {
    refusal = imds_error(Reason::kForwardedRequest);
  }
  if (!refusal) {
    refusal = limit(service, *vm, request);
  }
  const std::string vm_id = vm->model.vm_id;
  PassedOn passed;
  if (!refusal) {
    passed = co_await upstream_.pass(service, vm_id, request, passage);
    vm = registry_.find_by_id(vm_id);  // it may have gone meanwhile
    if (passed.logged) {
      co_return;
    }
    if (passed.reason != Reason::kNone) {
      refusal = refuse_upstream(service, request, passed.reason);
    }
  }
  if (refusal && course.outcome != Outcome::kAudited) {
    course.reason = refusal->reason;
  }
  if (vm != nullptr) {
    count(service, *vm, request, course);
  }
  const int status = passed.status != 0 ? passed.status : refusal ? refusal->response.status() : 0;
  http::Request told = request;
  told.body_bytes = std::max(told.body_bytes, passed.body_bytes);
  record(by, told, vm, course, status);
  // What has begun is cut by the server.
  if (refusal && passed.status == 0) {
    co_await passage.answer(std::move(refusal->response));
  }
}

/// An agent that has not heard yet what is asked for learns it from the refusal, and tries again.
Answer Gateway::refuse_unverified(const Vm& vm, const http::Request& request, Reason reason) const {
  Answer refusal = refuse(request, reason);
  if (reason == Reason::kNonceMissing || reason == Reason::kNonceStale) {
    refusal.response.header(protocol::kAsksHeader, protocol::format_asks(asking_.of(vm)));
  }
  return refusal;
}

Seen Gateway::seen(Service service, const http::Request& request, const Course& course) const {
  return {.service = service,
          .reason = course.reason,
          .caller = course.caller ? &*course.caller : nullptr,
          .method = request.head.method,
          .path = request.target.path,
          .request_id = request.request_id,
          .now_ns = clock_.realtime_ns()};
}

Answer Gateway::serve(Service service, Vm& vm, const http::Request& request) {
  if (auto refusal = limit(service, vm, request)) {
    return std::move(*refusal);
  }
  const Asked asked{.vm = vm, .request = request, .state = state_, .signers = signers_, .now_ns = clock_.realtime_ns()};
  switch (service) {
    case Service::kImds:
      return answer_imds(asked);
    case Service::kWireServer:
      return answer_wireserver(asked);
    case Service::kHostGaPlugin:
      return answer_hostga(asked);
  }
  return refuse(request, Reason::kNotFound);
}

void Gateway::changed(const std::string& vm_id) {
  const Vm* vm = registry_.find_by_id(vm_id);
  if (vm == nullptr) {
    state_.forget(vm_id);
  } else {
    for (const Ipv4Address& address : vm->addresses) {
      state_.unknown_callers.forget(address, vm->network);
    }
  }
  waits_.announce(vm_id);
}

void Gateway::record(const Entrance& by, const http::Request& request, Vm* vm, const Course& course, int status) {
  write({.request_id = request.request_id,
         .peer = request.connection.peer,
         .network = by.network,
         .service = by.service,
         .method = request.head.method,
         .path = request.target.path,
         .status = status,
         .outcome = course.outcome,
         .reason = course.reason == Reason::kNone ? std::string_view{} : to_string(course.reason),
         .elevated = course.elevated,
         .caller = course.caller ? &*course.caller : nullptr,
         .body_bytes = request.body_bytes},
        vm);
}

void Gateway::on_refused(const Entrance& by, const http::ConnectionInfo& connection, std::string_view request_id,
                         const http::Refusal& refusal) {
  Vm* const vm = registry_.find(connection.peer.address, by.network);
  if (vm == nullptr) {
    note_unknown(by, connection.peer);
  }
  write({.request_id = request_id,
         .peer = connection.peer,
         .network = by.network,
         .service = by.service,
         .status = refusal.status,
         .outcome = Outcome::kRefused,
         .reason = refusal.code},
        vm);
}

void Gateway::write(AccessRecord record, Vm* vm) {
  record.realtime_ns = clock_.realtime_ns();
  if (vm != nullptr) {
    vm->counters.last_ns = record.realtime_ns;
    record.vm_name = vm->model.name;
    record.vm_id = vm->model.vm_id;
  }
  log_.append(line_.write(record), record.outcome == Outcome::kRefused || record.outcome == Outcome::kAudited);
}

http::Party ServiceHandler::party(const http::ConnectionInfo& connection) { return gateway_.party(by_, connection); }

std::optional<http::Response> ServiceHandler::before_body(const http::Request& request) {
  return gateway_.before_body(by_, request);
}

std::uint64_t ServiceHandler::body_limit(const http::Request& request) { return gateway_.body_limit(by_, request); }

bool ServiceHandler::drops_body(const http::Request& request) { return is_exempt(by_.service, request); }

void ServiceHandler::on_refused(const http::ConnectionInfo& connection, std::string_view request_id,
                                const http::Refusal& refusal) {
  gateway_.on_refused(by_, connection, request_id, refusal);
}

http::Passing ServiceHandler::passes_on(const http::Request& request) { return gateway_.passes_on(by_, request); }

Task<void> ServiceHandler::pass(const http::Request& request, http::Passage& passage) {
  co_await gateway_.pass(by_, request, passage);
}

Task<http::Response> ServiceHandler::handle(const http::Request& request) {
  if (Gateway::asks_to_wait(by_.service, request)) {
    co_await gateway_.hold(by_, request);
  }
  co_return gateway_.handle(by_, request);
}

}  // namespace msp::gateway
