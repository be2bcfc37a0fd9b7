// SPDX-License-Identifier: Apache-2.0
// Sockets of root that the kernel side knows as ours: it does not send them back to the agent, and a guest's firewall
// rules that match the owner of a socket let them pass (waagent's: only uid 0 may reach the host).
// Any thread. Failure: kernel errors; the socket is closed.
#pragma once

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"
#include "intercept/socket_marker.h"

namespace msp::agent {

/// Non-blocking, unconnected, marked.
inline Result<Fd> marked_socket(intercept::SocketMarker& marker) {
  auto made = make_tcp_socket();
  if (made) {
    if (auto marked = marker.mark_own(made->get()); !marked) {
      return std::move(marked).error();
    }
  }
  return made;
}

/// The same with a connect that has begun.
inline Result<Fd> dial(intercept::SocketMarker& marker, const Ipv4Endpoint& to) {
  auto made = marked_socket(marker);
  if (made) {
    if (auto begun = begin_connect(*made, to); !begun) {
      return std::move(begun).error();
    }
  }
  return made;
}

}  // namespace msp::agent
