// SPDX-License-Identifier: Apache-2.0
// How a listener is known again when it has outlived the process that made it.
// Pure system calls; any thread. What is not surely the listener meant is an error that says why.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"

namespace msp {

/// The kernel's number of the network namespace that the socket lives in; never used twice since boot.
Result<std::uint64_t> netns_cookie(int socket);
/// The same of this thread's network namespace.
Result<std::uint64_t> own_netns_cookie();

/// "l-<cookie>": the name under which a service manager keeps the listener of that namespace.
std::string listener_name(std::uint64_t cookie);

/// That `socket` listens on `at` for TCP, in the namespace of that cookie, bound to this interface (empty: to none).
Result<void> check_listener(int socket, const Ipv4Endpoint& at, std::uint64_t cookie, std::string_view interface = {});

}  // namespace msp
