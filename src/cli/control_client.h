// SPDX-License-Identifier: Apache-2.0
// Asks a running agent or host over its socket.
// Blocks its caller until the answer or the deadline; single-threaded.
// Errors keep the errno of the connect: ENOENT or ECONNREFUSED, nobody is there; EACCES, not root.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace msp::cli {

struct Question {
  std::string_view method = "GET";
  std::string_view target = "/";
  std::string_view body = {};
  std::string_view who = "the agent";  ///< for messages
  std::uint64_t timeout_ms = 5'000;
};
struct Reply {
  int status = 0;
  std::string body;
};
/// Whatever is answered.
Result<Reply> ask(const std::string& socket_path, const Question& question);
/// What an answer in our error form says; the hint is its remedy.
Error own_words(const Reply& reply);

/// Whether the other program answers there instead: msp-agent to who asked msp-host, or the other way round. Asks once.
bool is_agent(const std::string& socket_path);
bool is_host(const std::string& socket_path);

}  // namespace msp::cli
