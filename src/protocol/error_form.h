// SPDX-License-Identifier: Apache-2.0
// What a host's refusal says in our error form, {"error": code, …, "request_id": id} (protocol.md J.2).
// Pure; any thread. The body is the host's, of which nothing else is believed, nor shown to anybody (L.21).
// Never fails: a body of another form says nothing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace msp::protocol {

struct ErrorForm {
  std::string code = {};        ///< at most 40 lower-case letters, digits, "_"; empty: none
  std::string request_id = {};  ///< at most 64 letters, digits, "-", "_"; empty: none
};

inline constexpr std::size_t kMostErrorBody = 4096;  ///< a larger one is of another form
ErrorForm read_error_form(std::string_view body);

/// Answers by which a host says that it does not take the request, whatever was asked for: not endorsed, not from this
/// machine, too many. Others are about what was asked for.
constexpr bool is_host_refusal(int status) { return status == 401 || status == 403 || status == 429; }

/// The code by which our host says that a request is signed with none of the keys of this machine, or wrongly.
bool is_refusal_of_the_key(std::string_view code);

}  // namespace msp::protocol
