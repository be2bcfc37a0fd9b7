// SPDX-License-Identifier: Apache-2.0
// Unix stream sockets by which a tool on the same machine talks to a program: made so that no moment and no leftover
// lets another in. Any thread; blocks for file system calls and one connect.
// Errors keep the errno (ENOENT, ECONNREFUSED: nobody is there; EACCES: may not) and say what to do.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace msp {

/// A listening, non-blocking socket of mode 0600; its folder is made (0700) if missing. A name that a dead program left
/// is taken over; one on which somebody answers, or that is no socket, is not. `who` ("agent") is for messages.
Result<Fd> listen_unix(const std::string& path, std::string_view who);

/// A connected, blocking socket.
Result<Fd> connect_unix(const std::string& path);

}  // namespace msp
