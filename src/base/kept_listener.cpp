// SPDX-License-Identifier: Apache-2.0
#include "base/kept_listener.h"

#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace msp {
namespace {

#ifndef SO_NETNS_COOKIE
constexpr int kNetnsCookie = 71;  // Linux 5.14, younger than some C libraries
#else
constexpr int kNetnsCookie = SO_NETNS_COOKIE;
#endif

Result<int> option(int socket, int name) {
  int value = 0;
  socklen_t size = sizeof(value);
  if (::getsockopt(socket, SOL_SOCKET, name, &value, &size) != 0) {
    return errno_error("getsockopt");
  }
  return value;
}

Error another(std::string what) {
  return Error{.source = Source::kKernel, .message = std::move(what), .hint = {}, .code = 0};
}

}  // namespace

Result<std::uint64_t> netns_cookie(int socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (::getsockopt(socket, SOL_SOCKET, kNetnsCookie, &cookie, &size) != 0) {
    Error error = errno_error("cannot ask for the network namespace of a socket");
    if (error.code == ENOPROTOOPT) {
      error.message = "this kernel is too old: it cannot tell of which network namespace a socket is";
      error.hint = "Linux 5.15 or newer is needed";
    }
    return error;
  }
  return cookie;
}

Result<std::uint64_t> own_netns_cookie() {
  auto socket = make_tcp_socket();
  if (!socket) {
    return std::move(socket).error();
  }
  return netns_cookie(socket->get());
}

std::string listener_name(std::uint64_t cookie) { return fmt::format("l-{}", cookie); }

Result<void> check_listener(int socket, const Ipv4Endpoint& at, std::uint64_t cookie, std::string_view interface) {
  struct Fact {
    int name;
    int wanted;
    const char* otherwise;
  };
  for (const auto& [name, wanted, otherwise] :
       {Fact{SO_TYPE, SOCK_STREAM, "it is no stream socket"}, Fact{SO_PROTOCOL, IPPROTO_TCP, "it is no TCP socket"},
        Fact{SO_ACCEPTCONN, 1, "it does not listen"}}) {
    auto value = option(socket, name);
    if (!value) {
      return std::move(value).error();
    }
    if (*value != wanted) {
      return another(otherwise);
    }
  }
  auto where = local_endpoint(socket);
  auto namespace_of = netns_cookie(socket);
  if (!where || !namespace_of) {
    return where ? std::move(namespace_of).error() : std::move(where).error();
  }
  if (*where != at) {
    return another(fmt::format("it listens on {}", to_string(*where)));
  }
  if (*namespace_of != cookie) {
    return another("it lives in another network namespace");
  }
  // An interface that was made anew under the same name is another one: then this fails.
  auto bound = bound_interface(socket);
  if (!bound) {
    return std::move(bound).error();
  }
  if (*bound != interface) {
    return another(bound->empty() ? std::string("it listens at every interface")
                                  : fmt::format("it listens at the interface {}", *bound));
  }
  return {};
}

}  // namespace msp
