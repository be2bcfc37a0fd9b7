// SPDX-License-Identifier: Apache-2.0
#include "proxy/data_plane.h"

#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

#include "base/log.h"
#include "protocol/error_form.h"
#include "proxy/session.h"

namespace msp::proxy {
namespace {

// Accepted in one turn, so that a flood of connects leaves the others their turn.
constexpr int kAcceptsPerTurn = 32;
// After a burst its buffers are kept for up to twice this long.
constexpr std::uint64_t kTidyMs = 10'000;

void bump(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

struct DataPlane::Listener {
  Listener(DataPlane& plane, Fd fd, std::function<void()> on_lost)
      : socket(std::move(fd)),
        lost(std::move(on_lost)),
        watch(plane.loop_, socket.get(), [&plane, this](std::uint32_t events) { plane.on_listener(*this, events); }) {}
  Fd socket;  ///< none: it died
  std::function<void()> lost;
  Watch watch;
};

DataPlane::DataPlane(Loop& loop, Settings settings, identity::IdentitySource& identities, Trace trace, Dialer& dialer,
                     LocalEndpoints& local)
    : loop_(loop),
      settings_(std::move(settings)),
      identities_(identities),
      audit_(trace.audit),
      local_(local),
      ids_(trace.ids),
      upstreams_(loop, dialer,
                 {settings_.services[0].endpoint, settings_.services[1].endpoint, settings_.services[2].endpoint}),
      gate_changed_(loop),
      identities_changed_(loop),
      gate_(std::make_shared<const Gate>()),
      counters_(trace.counters),
      places_(settings_.max_connections, settings_.max_connections_per_user),
      tidying_(tidy_up()) {}

DataPlane::~DataPlane() = default;

Result<void> DataPlane::listen(Fd listener, std::function<void()> lost) {
  std::erase_if(listeners_, [](const auto& one) { return !one->socket; });
  listeners_.push_back(std::make_unique<Listener>(*this, std::move(listener), std::move(lost)));
  return listeners_.back()->watch.start();
}

// It is reported at every turn for ever, and there is nothing to accept: without this the loop would only spin.
void DataPlane::on_listener(Listener& listener, std::uint32_t events) {
  if ((events & EPOLLHUP) == 0) {
    accept_some(listener.socket.get());
    return;
  }
  listener.watch.stop();
  listener.socket.reset();
  if (listener.lost) {
    listener.lost();
  }
}

void DataPlane::accept_some(int listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    Fd socket(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        if (accept_log_.admit(loop_.now())) {
          log::write(errno_error("no descriptor or memory left for a connection"));
        }
        upstreams_.close_idle();
      }
      return;
    }
    start_session(std::move(socket));
    // One accept for one wake-up is the common case: asking again would cost a system call to hear "no more".
    if (open_ < settings_.max_connections / 2) {
      return;
    }
  }
}

identity::ConnectionIdentity DataPlane::identify(int socket) {
  auto identity = identities_.identify(socket);
  if (!identity) {
    log::write(identity.error());
    return {};
  }
  return std::move(*identity);
}

// Who it is comes first: however many are being refused, they keep nobody out who has a place.
void DataPlane::start_session(Fd socket) {
  bump(counters_.connections);
  identity::ConnectionIdentity caller = identify(socket.get());
  const Places::Room room = places_.room_for(caller);
  if (room != Places::Room::kThereIs) {
    refuse_session(std::move(socket), std::move(caller), room);
    return;
  }
  places_.take(caller);
  Session& session = add_session(std::move(socket), std::move(caller));
  session.has_place_ = true;
  session.run().detach();
}

void DataPlane::refuse_session(Fd socket, identity::ConnectionIdentity caller, Places::Room room) {
  bump(counters_.connections_refused);
  if (room == Places::Room::kNoneInAll) {
    counters_.overloaded_ms.store(loop_.now(), std::memory_order_relaxed);
  }
  // Even to say "too many" costs memory: as many as may be served are told at a time, and nothing is said to more.
  if (open_ - places_.taken() >= settings_.max_connections) {
    return;
  }
  Session& session = add_session(std::move(socket), std::move(caller));
  session.turn_away(room == Places::Room::kNoneInAll ? too_many_in_all() : too_many_of_caller()).detach();
}

Session& DataPlane::add_session(Fd socket, identity::ConnectionIdentity caller) {
  auto* const session =
      std::make_unique<Session>(*this, std::move(socket), ++next_connection_, std::move(caller)).release();
  sessions_.push_back(*session);
  ++open_;
  counters_.connections_open.store(open_, std::memory_order_relaxed);
  return *session;
}

void DataPlane::ended(Session& session) {
  --open_;
  if (session.has_place_) {
    places_.give_back(session.caller());
  }
  counters_.connections_open.store(open_, std::memory_order_relaxed);
  const std::unique_ptr<Session> owned(&session);
}

Task<> DataPlane::tidy_up() {
  for (;;) {
    co_await loop_.sleep_until(loop_.after_ms(kTidyMs));
    buffers_.free_unneeded();
  }
}

void DataPlane::note_failure(const Answer& /*answer*/) { bump(counters_.upstream_failed); }
void DataPlane::note_answer(int status) {
  bump(protocol::is_host_refusal(status) ? counters_.host_refused : counters_.served);
}

void DataPlane::note_key(Service service, std::string_view key_guid, int status, std::string_view host_code) {
  // Requests that the key before has signed may still be under way.
  if (key_guid.empty() || !gate_->key || key_guid != gate_->key->guid) {
    return;
  }
  const bool refused = protocol::is_host_refusal(status);
  if (refused && protocol::is_refusal_of_the_key(host_code)) {
    counters_.key.note(service, key_guid, KeyOutcome::kRefused, loop_.now());
  } else if (status < 500 && !refused) {
    counters_.key.note(service, key_guid, KeyOutcome::kTaken, loop_.now());
  }
}

void DataPlane::log_upstream(const Error& error) {
  if (const auto lost = upstream_log_.admit(loop_.now())) {
    log::write(error);
    if (*lost != 0) {
      log::warn("{} more lines like the one before were left out", *lost);
    }
  }
}

void DataPlane::install(std::shared_ptr<const Gate> gate) {
  const bool new_key = gate->key != gate_->key;
  gate_ = std::move(gate);
  asks_ = gate_->asks;
  if (new_key) {
    counters_.key.forget();
    hmac_.reset();
    if (gate_->key) {
      auto keyed = HmacSha256::create(gate_->key->bytes);
      if (keyed) {
        hmac_.emplace(std::move(*keyed));
      } else {
        log::bug("the key {} cannot be used: {}", gate_->key->guid, keyed.error().text());
      }
    }
  }
  gate_changed_.announce();
}

void DataPlane::drain() {
  draining_ = true;
  listeners_.clear();
  sessions_.for_each([](Session& session) { session.wind_down(); });
  upstreams_.close_idle();
}

void DataPlane::abort_all() {
  sessions_.for_each([](Session& session) { session.abort(); });
}

std::int64_t DataPlane::host_time_s() const {
  if (gate_->host_time_offset_ms) {
    return (*gate_->host_time_offset_ms + static_cast<std::int64_t>(loop_.now())) / 1000;
  }
  return ::time(nullptr);
}

}  // namespace msp::proxy
