// SPDX-License-Identifier: Apache-2.0
#include "intercept/self_check.h"

#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

namespace msp::intercept {
namespace {

constexpr std::chrono::milliseconds kPatience{1000};

Error failure(std::string what) {
  return Error{.source = Source::kKernel,
               .message = fmt::format("the interception's self-test failed: {}", what),
               .hint =
                   "the listener must be made by a process inside the agent's cgroup, which must lie below the "
                   "intercepted one; another cgroup program may interfere",
               .code = 0};
}

Result<Ipv4Endpoint> start_connect(const Fd& client, const Ipv4Endpoint& at) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(at.port);
  std::memcpy(&in.sin_addr, at.address.data(), at.address.size());
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&in), sizeof(in)) != 0 && errno != EINPROGRESS) {
    return errno_error(fmt::format("the self-test cannot connect to {}", to_string(at)));
  }
  return local_endpoint(client.get());
}

Result<void> judge(const identity::ConnectionIdentity& identity, const Ipv4Endpoint& at) {
  if (!identity.known) {
    return failure(fmt::format("no record ({})", identity::to_string(identity.unknown)));
  }
  if (identity.uid != ::getuid() || !identity.direct || identity.destination != at) {
    return failure("the record is that of another connection");
  }
  return {};
}

}  // namespace

Result<std::vector<Fd>> self_check(const Fd& listener, const Ipv4Endpoint& at, identity::IdentitySource& source) {
  auto client = make_tcp_socket();
  if (!client) {
    return std::move(client).error();
  }
  auto from = start_connect(*client, at);
  if (!from) {
    return std::move(from).error();
  }
  std::vector<Fd> others;
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    pollfd waiting{.fd = listener.get(), .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, 50);
    Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted) {
      continue;
    }
    auto peer = peer_endpoint(accepted.get());
    if (!peer || *peer != *from) {
      others.push_back(std::move(accepted));
      continue;
    }
    auto identity = source.identify(accepted.get());
    if (!identity) {
      return std::move(identity).error();
    }
    auto good = judge(*identity, at);
    if (!good) {
      return std::move(good).error();
    }
    return others;
  }
  return failure("the connection did not arrive");
}

}  // namespace msp::intercept
