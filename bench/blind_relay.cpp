// SPDX-License-Identifier: Apache-2.0
// The floor of the bench: copies bytes between a client and the origin, looks at none of them.
//   blind-relay LISTEN TARGET     each a.b.c.d:port
// One thread, edge-triggered epoll, read and write tried first, one upstream connection a client, as lean as it gets.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <unordered_set>

#include "base/net.h"

namespace {

struct Pair;

struct End {
  int fd = -1;
  Pair* pair = nullptr;
  End* other = nullptr;
  std::string pending;  // read from the other end, not yet written here
  bool ended = false;   // the peer has closed its sending side
};

struct Pair {
  End client;
  End server;
  bool connected = false;  // to the origin; the client is not read before
  bool dead = false;
};

constexpr std::size_t kBuffer = 65536;
std::array<char, kBuffer> g_buffer;
std::unordered_set<Pair*> g_dead;
int g_epoll = -1;

void finish(Pair& pair) {
  if (!pair.dead) {
    pair.dead = true;
    g_dead.insert(&pair);
  }
}

// False: the connection is gone.
bool write_pending(End& end) {
  while (!end.pending.empty()) {
    const ssize_t n = ::send(end.fd, end.pending.data(), end.pending.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == ENOTCONN;
    end.pending.erase(0, static_cast<std::size_t>(n));
  }
  if (end.other->ended) ::shutdown(end.fd, SHUT_WR);
  return true;
}

// Copies until the source has nothing more or the sink takes nothing more. `to_the_end`: the peer has closed, so a
// short read is not the last.
bool pump(End& from, bool to_the_end) {
  End& to = *from.other;
  if (!write_pending(to)) return false;
  while (to.pending.empty() && !from.ended) {
    const ssize_t n = ::recv(from.fd, g_buffer.data(), g_buffer.size(), 0);
    if (n < 0) return errno == EAGAIN || errno == ENOTCONN;
    if (n == 0) {
      // After the origin's last byte nothing useful can follow; a client may still wait for its answer.
      if (&from == &from.pair->server) return false;
      from.ended = true;
      ::shutdown(to.fd, SHUT_WR);
      return true;
    }
    ssize_t sent = ::send(to.fd, g_buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != ENOTCONN && errno != EINPROGRESS) return false;
      sent = 0;
    }
    if (sent < n) to.pending.assign(g_buffer.data() + sent, static_cast<std::size_t>(n - sent));
    if (static_cast<std::size_t>(n) < g_buffer.size() && !to_the_end)
      return true;  // empty now; the edge tells when there is more
  }
  return true;
}

constexpr std::uint32_t kEdges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

bool watch(int fd, void* what, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = what;
  return ::epoll_ctl(g_epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

sockaddr_in to_sockaddr(const msp::Ipv4Endpoint& at) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(at.port);
  static_assert(sizeof(address.sin_addr) == sizeof(at.address));
  __builtin_memcpy(&address.sin_addr, at.address.data(), at.address.size());
  return address;
}

void accept_one(int listener, const sockaddr_in& target) {
  const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  auto pair = std::make_unique<Pair>();
  pair->client = {client, pair.get(), &pair->server, {}, false};
  pair->server = {server, pair.get(), &pair->client, {}, false};
  ::connect(server, reinterpret_cast<const sockaddr*>(&target), sizeof(target));
  Pair* kept = pair.release();
  if (!watch(client, &kept->client, kEdges) || !watch(server, &kept->server, kEdges)) finish(*kept);
}

// False: the connection is gone.
bool handle(End& end, std::uint32_t events) {
  Pair& pair = *end.pair;
  if ((events & EPOLLERR) != 0) return false;
  if (!pair.connected) {
    if (&end != &pair.server || (events & EPOLLOUT) == 0) return true;
    pair.connected = true;
    return pump(pair.client, true);
  }
  if ((events & (EPOLLIN | EPOLLRDHUP)) != 0 && !pump(end, (events & EPOLLRDHUP) != 0)) return false;
  // Room again: what waits for this end, then what its source still holds.
  return (events & EPOLLOUT) == 0 || end.pending.empty() || pump(*end.other, true);
}

int serve(int listener, const sockaddr_in& target) {
  g_epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (g_epoll < 0 || !watch(listener, nullptr, EPOLLIN)) return 1;
  std::array<epoll_event, 128> events;
  for (;;) {
    const int count = ::epoll_wait(g_epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      auto* end = static_cast<End*>(event.data.ptr);
      if (end == nullptr) {
        accept_one(listener, target);
      } else if (!end->pair->dead && !handle(*end, event.events)) {
        finish(*end->pair);
      }
    }
    for (Pair* pair : g_dead) {
      const std::unique_ptr<Pair> owned(pair);
      ::close(owned->client.fd);
      ::close(owned->server.fd);
    }
    g_dead.clear();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: blind-relay LISTEN TARGET\n", stderr);
    return 2;
  }
  const auto listen = msp::parse_endpoint(argv[1]);
  const auto target = msp::parse_endpoint(argv[2]);
  if (!listen || !target) {
    std::fputs("an address is a.b.c.d:port\n", stderr);
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const auto socket = msp::make_tcp_socket();
  if (!socket || !msp::bind_and_listen(*socket, *listen, 4096)) {
    std::perror("listen");
    return 1;
  }
  return serve(socket->get(), to_sockaddr(*target));
}
