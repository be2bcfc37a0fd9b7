// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <optional>

#include "base/net.h"
#include "http/server_connection.h"

namespace msp::http {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr std::uint64_t kAcceptPauseMs = 100;
constexpr std::uint64_t kShareOfOneParty = 8;
constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-type: application/json\r\ncache-control: "
    "no-store\r\n"
    "content-length: 87\r\nconnection: close\r\n\r\n"
    R"({"error":"too_many_connections","error_description":"try again later","request_id":""})"
    "\n";

ConnectionInfo describe(const Accepted& accepted) {
  ConnectionInfo info;
  const int fd = accepted.socket.get();
  const auto local = local_endpoint(fd);
  if (accepted.peer && local) {
    info.peer = *accepted.peer;
    info.local = *local;
    return info;
  }
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 && credentials.pid != 0) {
    info.peer_uid = credentials.uid;
  }
  return info;
}

void reap(ServerShared& shared) {
  shared.finished.for_each([](ServerConnection& connection) {
    if (connection.done()) {
      const std::unique_ptr<ServerConnection> owned(&connection);
    }
  });
}

}  // namespace

Party Handler::party(const ConnectionInfo& connection) {
  return {.id = std::bit_cast<std::uint32_t>(connection.peer.address)};
}
std::optional<Response> Handler::before_body(const Request& /*request*/) { return std::nullopt; }
bool Handler::drops_body(const Request& /*request*/) { return false; }
Passing Handler::passes_on(const Request& /*request*/) { return Passing::kNo; }
Task<void> Handler::pass(const Request& /*request*/, Passage& /*passage*/) { co_return; }
void Handler::on_refused(const ConnectionInfo& /*connection*/, std::string_view /*request_id*/,
                         const Refusal& /*refusal*/) {}

ServerShared::ServerShared(Loop& of_loop, BufferPool& pool, Handler& on_request, ServerLimits given)
    : loop(of_loop), buffers(pool), handler(on_request), limits(given), closed(of_loop) {}

ServerShared::~ServerShared() = default;

ServerShared::Held* ServerShared::admit(const Party& party) {
  Held& held = parties[party.id];
  if (party.most_connections != 0 && held.connections >= party.most_connections) {
    return nullptr;
  }
  ++held.connections;
  ++connections;
  return &held;
}

bool ServerShared::has_turn(Held& held) const {
  if (held.turn != loop.turns()) {
    held.turn = loop.turns();
    held.spent = 0;
  }
  return held.spent < limits.turn_bytes;
}

void ServerShared::left(const Party& party) {
  --connections;
  const auto found = parties.find(party.id);
  if (--found->second.connections == 0) {
    parties.erase(found);
  }
}

bool ServerShared::hold(const Party& party, std::uint64_t bytes) {
  Held& held = parties[party.id];
  const std::uint64_t most_of_one = limits.body_bytes / kShareOfOneParty;
  if (bytes > most_of_one - held.body_bytes || bytes > limits.body_bytes - body_bytes) {
    return false;
  }
  held.body_bytes += bytes;
  body_bytes += bytes;
  return true;
}

void ServerShared::let_go(const Party& party, std::uint64_t bytes) {
  parties[party.id].body_bytes -= bytes;
  body_bytes -= bytes;
}

struct Server::Listener {
  Listener(Server& of, Fd fd)
      : server(of),
        socket(std::move(fd)),
        watch(of.shared_.loop, socket.get(), [this](std::uint32_t) { server.on_acceptable(*this); }) {}

  Server& server;
  Fd socket;
  Watch watch;
  std::optional<Task<void>> pause;
};

Server::Server(Loop& loop, BufferPool& buffers, Handler& handler, ServerLimits limits)
    : shared_(loop, buffers, handler, limits) {}

Server::~Server() {
  listeners_.clear();
  for (auto* list : {&shared_.active, &shared_.finished}) {
    while (ServerConnection* connection = list->pop_front()) {
      const std::unique_ptr<ServerConnection> owned(connection);
    }
  }
}

Result<void> Server::listen(Fd listener) {
  auto& added = *listeners_.emplace_back(std::make_unique<Listener>(*this, std::move(listener)));
  auto started = added.watch.start();
  if (!started) {
    listeners_.pop_back();
  }
  return started;
}

void Server::on_acceptable(Listener& listener) {
  reap(shared_);
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    Accepted accepted = accept_connection(listener.socket);
    if (accepted.socket) {
      start(std::move(accepted));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The connection stays in the backlog and the watch is level-triggered: it would spin.
      listener.watch.stop();
      listener.pause.emplace(resume_later(listener));
      return;
    }
    if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

Task<void> Server::resume_later(Listener& listener) {
  co_await shared_.loop.sleep_until(shared_.loop.after_ms(kAcceptPauseMs));
  [[maybe_unused]] const auto started = listener.watch.start();
}

void Server::start(Accepted accepted) {
  if (shared_.connections >= shared_.limits.max_connections) {
    turn_away(accepted.socket);
    return;
  }
  const ConnectionInfo info = describe(accepted);
  const Party party = shared_.handler.party(info);
  ServerShared::Held* const held = shared_.admit(party);
  if (held == nullptr) {
    turn_away(accepted.socket);
    shared_.handler.on_refused(info, {}, {503, "too_many_connections", "this client has as many open as it may"});
    return;
  }
  ++shared_.counters.accepted;
  auto connection = std::make_unique<ServerConnection>(shared_, std::move(accepted.socket), info, party, *held);
  shared_.active.push_back(*connection);
  connection.release()->start();
}

void Server::turn_away(const Fd& socket) {
  ++shared_.counters.refused_connections;
  [[maybe_unused]] const auto n = ::send(socket.get(), kBusy.data(), kBusy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

Task<void> Server::drain(Deadline deadline) {
  shared_.draining = true;
  listeners_.clear();
  // A client may have sent its next request before it can know: closing at once would lose that.
  const Deadline farewell = std::min(deadline, shared_.loop.after_ms(shared_.limits.farewell_ms));
  bool before = true;
  while (before && shared_.connections > 0) {
    before = co_await shared_.closed.wait(farewell);
  }
  shared_.farewell_over = true;
  shared_.active.for_each([](ServerConnection& connection) {
    if (connection.idle()) {
      connection.cancel();
    }
  });
  while (shared_.connections > 0) {
    const bool closed = co_await shared_.closed.wait(deadline);
    if (!closed) {
      shared_.active.for_each([](ServerConnection& connection) { connection.cancel(); });
      break;
    }
  }
  reap(shared_);
}

}  // namespace msp::http
