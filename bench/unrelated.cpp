// SPDX-License-Identifier: Apache-2.0
// What a socket that has nothing to do with metadata costs: run inside and outside of a cgroup with hooks.
//   unrelated COUNT     prints nanoseconds of processor time per connection made and closed, and per byte sent and
//   echoed
// Both ends in one thread, over loopback, so that nobody is waited for.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

double processor_ns() {
  timespec ts{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return static_cast<double>(ts.tv_sec) * 1e9 + static_cast<double>(ts.tv_nsec);
}

struct Listener {
  int fd = -1;
  sockaddr_in at{};
};

Listener make_listener() {
  Listener out{.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .at = {}};
  out.at.sin_family = AF_INET;
  out.at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(out.at);
  if (::bind(out.fd, reinterpret_cast<sockaddr*>(&out.at), size) != 0 || ::listen(out.fd, 16) != 0 ||
      ::getsockname(out.fd, reinterpret_cast<sockaddr*>(&out.at), &size) != 0) {
    fail("listener");
  }
  return out;
}

struct Pair {
  int client = -1;
  int server = -1;
};

Pair connect_to(const Listener& listener) {
  Pair pair{.client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .server = -1};
  if (::connect(pair.client, reinterpret_cast<const sockaddr*>(&listener.at), sizeof(listener.at)) != 0) {
    fail("connect");
  }
  pair.server = ::accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC);
  if (pair.server < 0) {
    fail("accept");
  }
  return pair;
}

void close_both(const Pair& pair) {
  const linger now{.l_onoff = 1, .l_linger = 0};  // no TIME_WAIT: ports would run out
  ::setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  ::close(pair.client);
  ::close(pair.server);
}

void pass(int from, int to) {
  char byte = 'x';
  if (::send(from, &byte, 1, MSG_NOSIGNAL) != 1 || ::recv(to, &byte, 1, 0) != 1) {
    fail("byte");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long count = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 0;
  if (count <= 0) {
    std::fprintf(stderr, "usage: unrelated COUNT\n");
    return 2;
  }
  const Listener listener = make_listener();
  const double start = processor_ns();
  for (long i = 0; i < count; ++i) {
    close_both(connect_to(listener));
  }
  const double connected = processor_ns();
  const Pair pair = connect_to(listener);
  for (long i = 0; i < count; ++i) {
    pass(pair.client, pair.server);
    pass(pair.server, pair.client);
  }
  const double echoed = processor_ns();
  close_both(pair);
  std::printf("%.1f %.1f\n", (connected - start) / static_cast<double>(count),
              (echoed - connected) / static_cast<double>(count));
  return 0;
}
