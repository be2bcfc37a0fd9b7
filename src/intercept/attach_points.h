// SPDX-License-Identifier: Apache-2.0
// Where each kernel program hangs, by the names under which its link is pinned: part of the contract with earlier and
// later programs (bpf/contract.h).
// Constants; any thread.
// Nothing here fails.
#pragma once

#include <array>

namespace msp::intercept {

struct AttachPoint {
  const char* link;     ///< name of the pin
  const char* program;  ///< in bpf/
  bool own;             ///< on the agent's cgroup; else on the one whose processes are intercepted
};

/// In this order: what a redirected connect needs comes before the hooks that redirect.
inline constexpr std::array<AttachPoint, 8> kAttachPoints{
    {{.link = "getsockopt", .program = "msp_getsockopt", .own = true},
     {.link = "sockops", .program = "msp_sockops", .own = false},
     {.link = "bind4", .program = "msp_bind4", .own = false},
     {.link = "bind6", .program = "msp_bind6", .own = false},
     {.link = "connect4", .program = "msp_connect4", .own = false},
     {.link = "connect6", .program = "msp_connect6", .own = false},
     {.link = "sendmsg4", .program = "msp_sendmsg4", .own = false},
     {.link = "sendmsg6", .program = "msp_sendmsg6", .own = false}}};

/// What a link is pinned as until it takes its name; a start that died in between leaves it.
inline constexpr const char* kFreshLink = "_new";

}  // namespace msp::intercept
