// SPDX-License-Identifier: Apache-2.0
// IPv4 endpoints, the three guarded services, and the sockets both programs need.
// Values; any thread. Addresses are four bytes in network order, ports are in host order.
// Socket functions return kernel errors with the address in the text.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace msp {

struct Ipv4Endpoint {
  std::array<std::uint8_t, 4> address{};  ///< network order
  std::uint16_t port = 0;                 ///< host order

  auto operator<=>(const Ipv4Endpoint&) const = default;
};

/// Whether only one socket could listen at both: one port, and one address or 0.0.0.0, which is every one. Port 0 is
/// any free one.
bool overlap(const Ipv4Endpoint& a, const Ipv4Endpoint& b);
std::string to_string(const Ipv4Endpoint& endpoint);
std::string address_text(const Ipv4Endpoint& endpoint);
/// "a.b.c.d:port"; strict dotted decimal.
Result<Ipv4Endpoint> parse_endpoint(std::string_view text);

/// IPv6 text without brackets, zone or prefix, to 16 bytes in network order (the last four may be dotted decimal).
bool parse_ipv6_address(std::string_view text, std::array<std::uint8_t, 16>& out);

/// The metadata services of protocol.md section A.
enum class Service : std::uint8_t { kImds, kWireServer, kHostGaPlugin };
inline constexpr std::size_t kServiceCount = 3;
/// "imds", "wireserver", "hostga".
std::string_view to_string(Service service);

inline constexpr Ipv4Endpoint kImdsEndpoint{{169, 254, 169, 254}, 80};
inline constexpr Ipv4Endpoint kWireServerEndpoint{{168, 63, 129, 16}, 80};
inline constexpr Ipv4Endpoint kHostGaPluginEndpoint{{168, 63, 129, 16}, 32526};

/// Whose a connection is, is known also where it was reset before it was accepted.
struct Accepted {
  Fd socket;                              ///< non-blocking; none: errno says why
  std::optional<Ipv4Endpoint> peer = {};  ///< of IPv4 connections
};
Accepted accept_connection(const Fd& listener);

/// Non-blocking, close-on-exec IPv4 TCP socket with SO_REUSEADDR and TCP_NODELAY (inherited by accepted sockets).
Result<Fd> make_tcp_socket();
/// Begins a connect of a non-blocking socket; how it ends is the stream's to tell (Stream::connected).
Result<void> begin_connect(const Fd& socket, const Ipv4Endpoint& to);
/// What to do about an errno of bind or listen; empty if nothing is known.
std::string_view bind_hint(int code);
Result<void> bind_and_listen(const Fd& socket, const Ipv4Endpoint& at, int backlog);
/// What to do about an errno of bind_to_interface; empty if nothing is known.
std::string_view interface_hint(int code);
/// From now on only what comes in by this interface reaches the socket and what it accepts, and answers leave by it.
/// Before bind; `name`: of the socket's network namespace.
Result<void> bind_to_interface(const Fd& socket, const std::string& name);
/// The name that this interface has now; empty: the socket is bound to none. ENODEV: it is gone.
Result<std::string> bound_interface(int fd);
/// The peer's and the local address of a connected IPv4 (or v4-mapped) socket.
Result<Ipv4Endpoint> peer_endpoint(int fd);
Result<Ipv4Endpoint> local_endpoint(int fd);

}  // namespace msp
