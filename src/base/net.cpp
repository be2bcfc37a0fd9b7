// SPDX-License-Identifier: Apache-2.0
#include "base/net.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <charconv>
#include <cstring>

namespace msp {
namespace {

Result<Ipv4Endpoint> from_sockaddr(const sockaddr_storage& storage) {
  Ipv4Endpoint out;
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof(in));
    std::memcpy(out.address.data(), &in.sin_addr, out.address.size());
    out.port = ntohs(in.sin_port);
    return out;
  }
  sockaddr_in6 in6{};
  std::memcpy(&in6, &storage, sizeof(in6));
  if (storage.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
    return Error{.source = Source::kClient, .message = "not an IPv4 connection", .hint = {}, .code = 0};
  }
  std::memcpy(out.address.data(), in6.sin6_addr.s6_addr + 12, out.address.size());
  out.port = ntohs(in6.sin6_port);
  return out;
}

sockaddr_in to_sockaddr(const Ipv4Endpoint& endpoint) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(endpoint.port);
  std::memcpy(&in.sin_addr, endpoint.address.data(), endpoint.address.size());
  return in;
}

Error bind_error(std::string_view what, const Ipv4Endpoint& at) {
  Error error = errno_error(fmt::format("{} {}", what, to_string(at)));
  error.hint = bind_hint(error.code);
  return error;
}

}  // namespace

std::string address_text(const Ipv4Endpoint& endpoint) {
  const auto& a = endpoint.address;
  return fmt::format("{}.{}.{}.{}", a[0], a[1], a[2], a[3]);
}

bool overlap(const Ipv4Endpoint& a, const Ipv4Endpoint& b) {
  constexpr std::array<std::uint8_t, 4> kAny{};
  return a.port != 0 && a.port == b.port && (a.address == b.address || a.address == kAny || b.address == kAny);
}

std::string to_string(const Ipv4Endpoint& endpoint) {
  return fmt::format("{}:{}", address_text(endpoint), endpoint.port);
}

Result<Ipv4Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  Ipv4Endpoint out;
  unsigned port = 0;
  bool good = colon != std::string_view::npos;
  if (good) {
    const std::string host(text.substr(0, colon));
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    good = !digits.empty() && failure == std::errc{} && end == digits.data() + digits.size() && port <= 65535 &&
           ::inet_pton(AF_INET, host.c_str(), out.address.data()) == 1;
  }
  if (!good) {
    return config_error(fmt::format("'{}' is not an IPv4 address with a port", text), "write it as 127.0.0.1:3080");
  }
  out.port = static_cast<std::uint16_t>(port);
  return out;
}

bool parse_ipv6_address(std::string_view text, std::array<std::uint8_t, 16>& out) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.size() >= buffer.size() || text.contains('\0')) {
    return false;
  }
  std::memcpy(buffer.data(), text.data(), text.size());
  return ::inet_pton(AF_INET6, buffer.data(), out.data()) == 1;
}

std::string_view to_string(Service service) {
  switch (service) {
    case Service::kImds:
      return "imds";
    case Service::kWireServer:
      return "wireserver";
    case Service::kHostGaPlugin:
      return "hostga";
  }
  return "unknown";
}

Result<Fd> make_tcp_socket() {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) {
    return errno_error("socket");
  }
  const int one = 1;
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
      ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0) {
    return errno_error("setsockopt");
  }
  return socket;
}

Result<void> begin_connect(const Fd& socket, const Ipv4Endpoint& to) {
  const sockaddr_in in = to_sockaddr(to);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&in), sizeof(in)) != 0 && errno != EINPROGRESS) {
    return errno_error("cannot connect to " + to_string(to));
  }
  return {};
}

std::string_view bind_hint(int code) {
  switch (code) {
    case EADDRINUSE:
      return "another program or another agent listens there: `ss -ltnp` names it; stop it or choose another address "
             "(msp-agent: openmsp.listen)";
    case EPERM:
      return "the guard of another agent keeps this port: stop that agent or choose another address (msp-agent: "
             "openmsp.listen)";
    case EACCES:
      return "only root may listen there: run as root";
    case EADDRNOTAVAIL:
      return "this machine does not have the address: `ip address` shows those it has";
    default:
      return {};
  }
}

Result<void> bind_and_listen(const Fd& socket, const Ipv4Endpoint& at, int backlog) {
  const sockaddr_in in = to_sockaddr(at);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&in), sizeof(in)) != 0) {
    return bind_error("cannot bind", at);
  }
  if (::listen(socket.get(), backlog) != 0) {
    return bind_error("cannot listen on", at);
  }
  return {};
}

std::string_view interface_hint(int code) {
  switch (code) {
    case ENODEV:
      return "there is no such interface in this network namespace: `ip link` shows those there are; make it before "
             "this "
             "starts";
    case EPERM:
      return "kernels before 5.7 take a right for it: run as root or with CAP_NET_RAW";
    default:
      return {};
  }
}

Result<void> bind_to_interface(const Fd& socket, const std::string& name) {
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, name.data(), static_cast<socklen_t>(name.size())) != 0) {
    Error error = errno_error("cannot listen at the interface " + name);
    error.hint = interface_hint(error.code);
    return error;
  }
  return {};
}

Result<std::string> bound_interface(int fd) {
  std::array<char, IFNAMSIZ> name{};
  socklen_t size = name.size();
  if (::getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.data(), &size) != 0) {
    return errno_error("cannot ask for the interface of a socket");
  }
  return std::string(name.data());  // ends with a zero byte, or is empty
}

Result<Ipv4Endpoint> peer_endpoint(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return errno_error("getpeername");
  }
  return from_sockaddr(storage);
}

Accepted accept_connection(const Fd& listener) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  Accepted out{.socket = Fd(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&storage), &size,
                                      SOCK_NONBLOCK | SOCK_CLOEXEC))};
  if (out.socket) {
    if (auto peer = from_sockaddr(storage)) {
      out.peer = *peer;
    }
  }
  return out;
}

Result<Ipv4Endpoint> local_endpoint(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return errno_error("getsockname");
  }
  return from_sockaddr(storage);
}

}  // namespace msp
