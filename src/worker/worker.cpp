// SPDX-License-Identifier: Apache-2.0
#include "worker/worker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "audit/queue.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/process.h"
#include "base/shared_memory.h"
#include "link/build.h"
#include "link/connection.h"
#include "proxy/counters.h"
#include "proxy/data_plane.h"
#include "worker/confine.h"
#include "worker/identity_desk.h"
#include "worker/line_sink.h"
#include "worker/local_status.h"
#include "worker/rule_compiler.h"
#include "worker/upstream_desk.h"

namespace msp::worker {
namespace {

constexpr int kLink = 3;
constexpr std::uint64_t kDrainedEveryMs = 5;

/// Where there is no audit file.
struct NoAudit final : audit::Sink {
  void write(const audit::Record& /*record*/) noexcept override {}
};

class Worker {
 public:
  explicit Worker(const std::function<void()>& inside)
      : inside_(inside),
        link_(loop_, Fd(kLink), link::Connection::Peer::kTrusted,
              {.on_packet = [this](std::string_view packet, std::vector<Fd> fds) { on_packet(packet, std::move(fds)); },
               .on_gone =
                   [this](const Error&) {
                     log::set_sink(nullptr);
                     loop_.stop();
                   }}) {}

  int run() {
    if (!loop_.ready() || !link_.start()) {
      return 1;
    }
    // Before anything else, so that a monitor of another build knows whom it hears.
    (void)say(link::Greeting{.build = std::string(link::build())});
    log::set_sink(&lines_);
    loop_.run();
    return failed_ ? 1 : 0;
  }

 private:
  void on_packet(std::string_view packet, std::vector<Fd> fds);
  void fail(const Error& error) {
    log::write(error);
    failed_ = true;
    loop_.stop();
  }
  bool say(const link::ToMonitor& message) { return link_.send(link::encode(message, ++said_)); }
  void taken(std::uint64_t number) { (void)say(link::Taken{.number = number}); }

  Result<void> set_up(link::Setup setup, std::vector<Fd> fds);
  void install_gate();
  Task<> drain();

  // In the order of link::ToWorker; `number` is the message's.
  void on(link::Greeting& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Setup& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Listen& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Adopt& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Names& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Pins& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Places& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Rules& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Gate& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Status& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Dialled& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::LogLevel& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Ping& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Drain& m, std::uint64_t number, std::vector<Fd>& fds);
  void on(link::Abort& m, std::uint64_t number, std::vector<Fd>& fds);

  const std::function<void()>& inside_;
  Loop loop_;
  link::Connection link_;
  bool greeted_ = false;
  bool failed_ = false;
  std::uint64_t said_ = 0;
  LineSink lines_{loop_, [this](const link::ToMonitor& m) { return say(m); }};

  NoAudit no_audit_;
  std::unique_ptr<audit::Queue> audit_;
  SharedMemory counters_;
  IdentityDesk identities_{[this](const link::ToMonitor& m) { return say(m); }};
  UpstreamDesk upstreams_{loop_, [this](const link::ToMonitor& m) { return say(m); }};
  LocalStatus local_{[this] { (void)say(link::Notify{}); }};
  std::unique_ptr<RuleCompiler> compiler_;
  std::unique_ptr<proxy::DataPlane> plane_;

  std::shared_ptr<const policy::Snapshot> rules_;
  link::Gate gate_;
  std::shared_ptr<const channel::Key> key_;
  std::vector<std::uint64_t> gates_waiting_;  ///< for rules that are being compiled
  std::optional<Task<>> draining_;
};

void Worker::on_packet(std::string_view packet, std::vector<Fd> fds) {
  auto got = link::decode_to_worker(packet);
  if (!got) {
    return fail(got.error());
  }
  if (fds.size() != link::descriptors_of(got->message)) {
    return fail(bug("a message of the monitor came without its descriptors"));
  }
  const bool greeting = std::holds_alternative<link::Greeting>(got->message);
  const bool setup = std::holds_alternative<link::Setup>(got->message);
  if (greeting == greeted_ || (!greeting && setup == (plane_ != nullptr))) {
    return fail(bug("the monitor does not begin at the beginning"));
  }
  std::visit([&](auto& m) { on(m, got->number, fds); }, got->message);
}

/// In this order: what needs files and privileges, then to lose them, then what a client could make use of.
Result<void> Worker::set_up(link::Setup setup, std::vector<Fd> fds) {
  log::set_level(setup.log_level);
  identities_.give_tickets_from(setup.tickets_from);
  auto counters = SharedMemory::map(std::move(fds.front()), sizeof(proxy::Counters));
  auto ids = audit::RequestIds::create();
  // The first one loads what later ones need.
  const auto crypto = HmacSha256::create(as_bytes("warm"));
  if (!counters || !ids || !crypto) {
    return !counters ? std::move(counters).error() : !ids ? std::move(ids).error() : crypto.error();
  }
  counters_ = *std::move(counters);
  if (setup.audit_ring_bytes != 0) {
    auto memory = SharedMemory::map(std::move(fds[1]), audit::QueueShare::memory_bytes(setup.audit_ring_bytes));
    if (!memory) {
      return std::move(memory).error();
    }
    audit_ = std::make_unique<audit::Queue>(audit::QueueShare{
        .memory = *std::move(memory), .ring_bytes = setup.audit_ring_bytes, .event = std::move(fds[2])});
  }
  if (auto done = become(setup.uid, setup.gid); !done) {
    return done;
  }
  compiler_ = std::make_unique<RuleCompiler>(loop_, [this](std::shared_ptr<const policy::Snapshot> rules) {
    rules_ = std::move(rules);
    install_gate();
  });
  if (auto done = allow_serving_only(); !done) {
    return done;
  }
  plane_ = std::make_unique<proxy::DataPlane>(
      loop_, std::move(setup.proxy), identities_.source(),
      proxy::DataPlane::Trace{.audit = audit_ ? static_cast<audit::Sink&>(*audit_) : no_audit_,
                              .counters = *std::launder(reinterpret_cast<proxy::Counters*>(counters_.bytes().data())),
                              .ids = *ids},
      upstreams_, local_);
  release_startup_memory();
  return {};
}

void Worker::on(link::Greeting& m, std::uint64_t /*number*/, std::vector<Fd>& /*fds*/) {
  if (m.build != link::build()) {
    return fail(link::of_another_build(m.build, link::build()));
  }
  greeted_ = true;
}

void Worker::on(link::Setup& m, std::uint64_t /*number*/, std::vector<Fd>& fds) {
  if (auto done = set_up(std::move(m), std::move(fds)); !done) {
    return fail(std::move(done).error().context("the worker cannot start"));
  }
  (void)say(link::Hello{});
  if (inside_) {
    inside_();
  }
}

void Worker::on(link::Listen& m, std::uint64_t number, std::vector<Fd>& fds) {
  auto done = plane_->listen(std::move(fds.front()),
                             [this, listener = m.listener] { (void)say(link::ListenerLost{.listener = listener}); });
  if (!done) {
    return fail(done.error());
  }
  taken(number);
}

void Worker::on(link::Adopt& /*m*/, std::uint64_t number, std::vector<Fd>& fds) {
  plane_->adopt(std::move(fds.front()));
  taken(number);
}

void Worker::on(link::Names& m, std::uint64_t /*number*/, std::vector<Fd>& /*fds*/) { identities_.take(m); }

void Worker::on(link::Pins& m, std::uint64_t number, std::vector<Fd>& /*fds*/) {
  identities_.take(std::move(m));
  plane_->identities_changed();
  taken(number);
}

void Worker::on(link::Places& m, std::uint64_t /*number*/, std::vector<Fd>& /*fds*/) {
  identities_.take(std::move(m));
  plane_->identities_changed();
}

void Worker::on(link::Rules& m, std::uint64_t /*number*/, std::vector<Fd>& /*fds*/) { compiler_->want(std::move(m)); }

void Worker::on(link::Gate& m, std::uint64_t number, std::vector<Fd>& /*fds*/) {
  // The same key stays the same object: whoever signs keeps what it has made of it.
  if (!m.key) {
    key_.reset();
  } else if (!key_ || key_->guid != m.key->guid || !(key_->bytes == m.key->bytes)) {
    key_ = std::make_shared<const channel::Key>(
        channel::Key{.guid = m.key->guid, .incarnation = std::nullopt, .bytes = std::move(m.key->bytes)});
  }
  gate_ = std::move(m);
  gates_waiting_.push_back(number);
  install_gate();
}

/// A gate that closes does not wait for rules; one that opens does.
void Worker::install_gate() {
  const bool have_rules = !gate_.rules || (rules_ && rules_->generation == *gate_.rules);
  if (!have_rules && gate_.readiness != proxy::Readiness::kNotReady) {
    return;
  }
  auto gate = std::make_shared<proxy::Gate>();
  gate->readiness = gate_.readiness;
  gate->key = key_;
  gate->rules = gate_.rules && have_rules ? rules_ : nullptr;
  gate->host_time_offset_ms = gate_.host_time_offset_ms;
  gate->asks = gate_.asks;
  plane_->install(std::move(gate));
  if (have_rules) {
    for (const std::uint64_t number : std::exchange(gates_waiting_, {})) {
      taken(number);
    }
  }
}

void Worker::on(link::Status& m, std::uint64_t /*number*/, std::vector<Fd>& /*fds*/) {
  local_.update(std::move(m.provision), std::move(m.aggregate_json));
}

void Worker::on(link::Dialled& m, std::uint64_t /*number*/, std::vector<Fd>& fds) {
  upstreams_.take(m, fds.empty() ? Fd() : std::move(fds.front()));
}

void Worker::on(link::LogLevel& m, std::uint64_t /*number*/, std::vector<Fd>& /*fds*/) { log::set_level(m.level); }

void Worker::on(link::Ping& /*m*/, std::uint64_t /*number*/, std::vector<Fd>& /*fds*/) { (void)say(link::Pong{}); }

void Worker::on(link::Drain& /*m*/, std::uint64_t /*number*/, std::vector<Fd>& /*fds*/) {
  // Behind the turn in which it came: a request that has arrived in the same turn is read before idle connections end.
  loop_.post([this] {
    plane_->drain();
    if (!draining_) {
      draining_.emplace(drain());
    }
  });
}

void Worker::on(link::Abort& /*m*/, std::uint64_t /*number*/, std::vector<Fd>& /*fds*/) { plane_->abort_all(); }

Task<> Worker::drain() {
  while (!plane_->drained()) {
    co_await loop_.sleep_until(loop_.after_ms(kDrainedEveryMs));
  }
  (void)say(link::Drained{});
}

bool started_by_the_monitor() {
  int kind = 0;
  socklen_t size = sizeof kind;
  return ::getsockopt(kLink, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 && kind == SOCK_SEQPACKET;
}

}  // namespace

int run(const std::function<void()>& inside) {
  if (!started_by_the_monitor()) {
    log::error("msp-worker is a part of msp-agent, which starts it");
    return 2;
  }
  (void)::prctl(PR_SET_NAME, "msp-worker", 0, 0, 0);
  // Whoever ends a service or a terminal's programs means the monitor, which answers what is in flight first.
  for (const int one : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
    (void)::signal(one, SIG_IGN);
  }
  if (::close_range(kLink + 1, ~0U, 0) != 0) {
    log::write(errno_error("close_range"));
    return 1;
  }
  const auto worker = std::make_unique<Worker>(inside);
  // What is in flight belongs to connections that end with the process: nothing is taken down one by one.
  ::_exit(worker->run());
}

}  // namespace msp::worker
