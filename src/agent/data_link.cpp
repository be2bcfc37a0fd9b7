// SPDX-License-Identifier: Apache-2.0
#include "agent/data_link.h"

#include <fcntl.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <new>

#include "agent/dialler.h"
#include "agent/link_messages.h"
#include "base/log.h"
#include "link/build.h"

namespace msp::agent {
namespace {

constexpr auto kStartPatience = std::chrono::seconds(5);
// Compiling 100,000 rules takes a fraction of it, and the watchdog of the thread that waits has 10 s.
constexpr auto kInstallPatience = std::chrono::seconds(6);
constexpr auto kAbortPatience = std::chrono::seconds(6);
constexpr std::uint64_t kEndPatienceMs = 1'000;
// A worker that died sooner is started again a little later each time, at most after this.
constexpr std::uint64_t kShortLifeMs = 1'000;
constexpr std::uint64_t kLongestWaitMs = 160;
constexpr unsigned kTold = 50;
constexpr unsigned kToldAgain = 500;
// A worker that leaves so many questions unanswered is stuck: well within the watchdog's 10 s, which would end both.
// Questions are counted, not time: a machine that slept has asked once.
constexpr std::uint64_t kAskEveryMs = 1'500;
constexpr unsigned kMostUnanswered = 3;

Fd duplicate(const Fd& fd) { return Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

}  // namespace

DataLink::DataLink(Parts parts, Fd program, SharedMemory counters)
    : parts_(std::move(parts)), program_(std::move(program)), counters_(std::move(counters)) {
  ::new (counters_.bytes().data()) proxy::Counters();
}

Result<std::unique_ptr<DataLink>> DataLink::start(Parts parts) {
  auto program = open_worker_program();
  if (!program) {
    return std::move(program).error();
  }
  auto counters = SharedMemory::create("msp-counters", sizeof(proxy::Counters));
  if (!counters) {
    return std::move(counters).error();
  }
  std::unique_ptr<DataLink> link(new DataLink(std::move(parts), *std::move(program), *std::move(counters)));
  if (auto ready = link->loop_.ready(); !ready) {
    return std::move(ready).error();
  }
  link->thread_ = std::thread([loop = &link->loop_] { loop->run(); });
  // For those who look at the threads of a busy or stuck agent.
  ::pthread_setname_np(link->thread_.native_handle(), "msp-link");
  Result<void> begun;
  link->run_there([&] { begun = link->begin(); });
  if (!begun) {
    return std::move(begun).error();
  }
  if (!link->wait_until(kStartPatience, [&link] { return link->first_ != First::kStarting; }) ||
      link->first_ == First::kDied) {
    return Error{.source = Source::kKernel,
                 .message = "the worker does not start",
                 .hint = "the lines before say why",
                 .code = 0};
  }
  return link;
}

DataLink::~DataLink() {
  if (thread_.joinable()) {
    // Its own thread takes it down: what it holds is that thread's.
    run_there([this] {
      ending_ = true;
      beginning_.reset();
      watching_.reset();
      connection_.reset();
      process_.reset();
      lines_.close_errors();
    });
    loop_.stop();
    thread_.join();
  }
}

void DataLink::run_there(const std::function<void()>& f) {
  std::atomic<bool> done = false;
  loop_.post([&] {
    f();
    done = true;
    done.notify_one();
  });
  done.wait(false);
}

bool DataLink::wait_until(std::chrono::milliseconds patience, const std::function<bool()>& holds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, holds);
}

void DataLink::note(const std::function<void()>& change) {
  {
    const std::lock_guard lock(mutex_);
    change();
  }
  changed_.notify_all();
}

Result<void> DataLink::begin() {
  auto ends = link::Connection::make_pair();
  if (!ends) {
    return std::move(ends).error();
  }
  auto errors = lines_.open_errors();
  if (!errors) {
    return std::move(errors).error();
  }
  auto started = WorkerProcess::start(program_, ends->second, *errors);
  if (!started) {
    return std::move(started).error();
  }
  process_ = std::make_unique<WorkerProcess>(*std::move(started));
  began_ = loop_.now();
  ++workers_;
  unanswered_ = 0;
  greeted_ = Greeted::kNotYet;
  connection_ = std::make_unique<link::Connection>(
      loop_, std::move(ends->first), link::Connection::Peer::kUntrusted,
      link::Connection::Events{
          .on_packet = [this](std::string_view packet, const std::vector<Fd>& fds) { on_packet(packet, fds); },
          // Later: the connection is on the stack here.
          .on_gone = [this](const Error& why) { loop_.post([this, why] { restart(why); }); }});
  if (auto done = connection_->start(); !done) {
    return done;
  }
  tell_all();
  if (!watching_) {
    watching_.emplace(watch());
  }
  return {};
}

void DataLink::restart(const Error& why) {
  if (ending_ || !connection_) {
    return;
  }
  connection_.reset();
  const std::string end = process_ ? process_->end(0) : std::string();
  process_.reset();
  lines_.close_errors();
  if (draining_) {
    note([this] { drained_ = true; });
    return;
  }
  short_lives_ = loop_.now() - began_ < kShortLifeMs ? short_lives_ + 1 : 0;
  if (worth_a_line()) {
    log::error("the worker {}: {}{}", end, why.text(),
               short_lives_ < 2 ? "" : fmt::format("; {} in a row died young", short_lives_));
  }
  if (parts_.audit != nullptr) {
    parts_.audit->wake();
  }
  if (first_ == First::kStarting) {
    note([this] { first_ = First::kDied; });
    return;
  }
  beginning_.emplace(
      begin_again(short_lives_ < 2 ? 0 : std::min(kLongestWaitMs, std::uint64_t{10} << std::min(short_lives_, 4U))));
}

Task<> DataLink::begin_again(std::uint64_t wait_ms) {
  for (;;) {
    co_await loop_.sleep_until(loop_.after_ms(wait_ms));
    auto done = begin();
    if (done) {
      co_return;
    }
    log::write(done.error());
    connection_.reset();
    process_.reset();
    wait_ms = kLongestWaitMs;
  }
}

Task<> DataLink::watch() {
  for (;;) {
    co_await loop_.sleep_until(loop_.after_ms(kAskEveryMs));
    if (!connection_) {
      continue;
    }
    if (unanswered_ >= kMostUnanswered) {
      log::error("the worker does not answer: it is ended");
      kill_worker();
    } else {
      ++unanswered_;
      (void)tell(link::Ping{});
    }
  }
}

link::Setup DataLink::setup() const {
  return {.uid = parts_.user.uid,
          .gid = parts_.user.gid,
          .log_level = log::most_detailed(),
          .audit_ring_bytes = parts_.audit == nullptr ? 0 : parts_.audit->ring_bytes,
          .tickets_from = workers_ << 40,
          .proxy = parts_.settings};
}

std::vector<Fd> DataLink::setup_descriptors() const {
  std::vector<Fd> out;
  out.push_back(duplicate(counters_.fd()));
  if (parts_.audit != nullptr) {
    out.push_back(duplicate(parts_.audit->memory.fd()));
    out.push_back(duplicate(parts_.audit->event));
  }
  return out;
}

/// Everything that holds, to a worker that knows nothing.
void DataLink::tell_all() {
  (void)tell(link::Greeting{.build = std::string(link::build())});
  (void)tell(setup(), setup_descriptors());
  if (names_) {
    (void)tell(names_message(*names_));
  }
  if (!pins_.empty()) {
    pins_.erase(pins_.begin(), pins_.end() - 1);
    tell_pins();
  }
  if (cgroups_) {
    (void)tell(places_message(*cgroups_));
  }
  if (rules_) {
    (void)tell(*rules_);
  }
  if (status_) {
    (void)tell(*status_);
  }
  if (gate_) {
    gates_told_.clear();
    tell_gate();
  }
  // Last: whoever is accepted finds what holds.
  for (const Listening& one : listening_) {
    std::vector<Fd> fds;
    fds.push_back(duplicate(one.socket));
    (void)tell(link::Listen{.listener = one.id}, std::move(fds));
  }
  if (!asked_.empty()) {
    (void)tell(link::Ping{});
  }
}

bool DataLink::worth_a_line() const { return short_lives_ < kTold || short_lives_ % kToldAgain == 0; }

void DataLink::kill_worker() const {
  if (process_) {
    process_->kill();
  }
}

std::uint64_t DataLink::tell(const link::ToWorker& message, std::vector<Fd> descriptors) {
  if (!connection_) {
    return 0;
  }
  if (!connection_->send(link::encode(message, ++said_), std::move(descriptors))) {
    // It reads no more, or is gone. The next one will be told everything.
    kill_worker();
    return 0;
  }
  return said_;
}

void DataLink::tell_gate() { gates_told_.emplace_back(tell(gate_message(*gate_)), gate_number_); }

void DataLink::tell_pins() { pins_.back().first = tell(pins_message(*pins_.back().second)); }

void DataLink::on_packet(std::string_view packet, const std::vector<Fd>& descriptors) {
  if (greeted_ == Greeted::kForeign) {
    return;
  }
  auto got = link::decode_to_monitor(packet);
  if (!got || !descriptors.empty()) {
    return refuse(got ? bug("the worker has sent a descriptor") : got.error());
  }
  if (std::holds_alternative<link::Greeting>(got->message) != (greeted_ == Greeted::kNotYet)) {
    return refuse(bug("the worker does not begin with its greeting"));
  }
  std::visit([this](const auto& m) { on(m); }, got->message);
}

void DataLink::refuse(const Error& why) {
  if (worth_a_line()) {
    log::write(why);
  }
  kill_worker();
}

void DataLink::on(const link::Greeting& m) {
  greeted_ = m.build == link::build() ? Greeted::kOurs : Greeted::kForeign;
  if (greeted_ == Greeted::kForeign) {
    refuse(link::of_another_build(link::build(), m.build));
  }
}

void DataLink::on(const link::Hello& /*m*/) {
  if (worth_a_line()) {
    log::info("worker {} serves", process_->pid());
  }
  if (first_ == First::kStarting) {
    note([this] { first_ = First::kServes; });
  }
}

void DataLink::on(const link::Taken& m) {
  // Older pins are asked no more.
  const auto asked = std::ranges::find(pins_, m.number, &decltype(pins_)::value_type::first);
  if (asked != pins_.end()) {
    pins_.erase(pins_.begin(), asked);
  }
  const auto told = std::ranges::find(gates_told_, m.number, &decltype(gates_told_)::value_type::first);
  if (told != gates_told_.end()) {
    note([&] { gate_taken_ = std::max(gate_taken_, told->second); });
    gates_told_.erase(gates_told_.begin(), told + 1);
  }
}

void DataLink::on(const link::Dial& m) {
  auto socket = dial(parts_.marker, parts_.settings.of(m.service).endpoint);
  if (!socket) {
    const int code = socket.error().code;
    (void)tell(link::Dialled{.dial = m.dial, .code = static_cast<std::uint32_t>(code != 0 ? code : EIO)});
    return;
  }
  std::vector<Fd> fds;
  fds.push_back(*std::move(socket));
  (void)tell(link::Dialled{.dial = m.dial}, std::move(fds));
}

void DataLink::on(const link::ListenerLost& m) {
  const auto at = std::ranges::find(listening_, m.listener, &Listening::id);
  if (at != listening_.end()) {
    const auto lost = std::move(at->lost);
    listening_.erase(at);
    lost();
  }
}

void DataLink::on(const link::Pong& /*m*/) {
  unanswered_ = 0;
  for (const auto& f : std::exchange(asked_, {})) {
    f();
  }
}

void DataLink::on(const link::Drained& /*m*/) {
  note([this] { drained_ = true; });
}

Result<void> DataLink::listen(Fd listener, std::function<void()> lost) {
  run_there([&] {
    std::vector<Fd> fds;
    fds.push_back(duplicate(listener));
    listening_.push_back({.id = ++last_listener_, .socket = std::move(listener), .lost = std::move(lost)});
    (void)tell(link::Listen{.listener = last_listener_}, std::move(fds));
  });
  return {};
}

void DataLink::adopt(Fd connection) {
  run_there([&] {
    std::vector<Fd> fds;
    fds.push_back(std::move(connection));
    (void)tell(link::Adopt{}, std::move(fds));
  });
}

void DataLink::set_rules(link::Rules rules) {
  loop_.post([this, rules = std::move(rules)]() mutable {
    rules_.emplace(std::move(rules));
    (void)tell(*rules_);
  });
}

void DataLink::install(std::shared_ptr<const proxy::Gate> gate) {
  const std::uint64_t number = ++gates_asked_;
  loop_.post([this, number, gate = std::move(gate)]() mutable {
    gate_ = std::move(gate);
    gate_number_ = number;
    tell_gate();
  });
  if (!wait_until(kInstallPatience, [this, number] { return gate_taken_ >= number; })) {
    // Whatever it decides by: it shall not go on. The next one is told the gate before it accepts anybody.
    log::error("the worker does not take a new gate over: it is ended");
    run_there([this] { kill_worker(); });
  }
}

void DataLink::follow_log_level() {
  loop_.post([this] { (void)tell(link::LogLevel{.level = log::most_detailed()}); });
}

void DataLink::update_status(status::ProvisionView provision, std::string aggregate_json) {
  loop_.post([this, m = link::Status{.provision = std::move(provision), .aggregate_json = std::move(aggregate_json)}] {
    status_.emplace(m);
    (void)tell(*status_);
  });
}

void DataLink::set_names(std::shared_ptr<const identity::NameTable> names) {
  loop_.post([this, names = std::move(names)]() mutable {
    names_ = std::move(names);
    (void)tell(names_message(*names_));
  });
}

void DataLink::set_pins(std::shared_ptr<const identity::PinTable> pins) {
  loop_.post([this, pins = std::move(pins)]() mutable {
    pins_.emplace_back(0, std::move(pins));
    tell_pins();
  });
}

void DataLink::set_cgroups(std::shared_ptr<const identity::CgroupTable> cgroups) {
  loop_.post([this, cgroups = std::move(cgroups)]() mutable {
    cgroups_ = std::move(cgroups);
    (void)tell(places_message(*cgroups_));
  });
}

void DataLink::ask(std::function<void()> f) {
  loop_.post([this, f = std::move(f)]() mutable {
    asked_.push_back(std::move(f));
    (void)tell(link::Ping{});
  });
}

const proxy::Counters& DataLink::counters() const {
  return *std::launder(reinterpret_cast<const proxy::Counters*>(counters_.bytes().data()));
}

void DataLink::drain(std::uint64_t max_ms) {
  run_there([this] {
    listening_.clear();
    note([this] {
      draining_ = true;
      drained_ = !connection_;
    });
    (void)tell(link::Drain{});
  });
  const auto drained = [this] { return drained_; };
  if (!wait_until(std::chrono::milliseconds(max_ms), drained)) {
    run_there([this] { (void)tell(link::Abort{}); });
    (void)wait_until(kAbortPatience, drained);
  }
  run_there([this] {
    ending_ = true;
    beginning_.reset();
    watching_.reset();
    connection_.reset();  // the end of its link is the worker's end
    if (process_) {
      (void)process_->end(kEndPatienceMs);
    }
    process_.reset();
    lines_.close_errors();
  });
}

}  // namespace msp::agent
