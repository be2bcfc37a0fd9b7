// SPDX-License-Identifier: Apache-2.0
// Why bytes of a peer are refused: status to answer, stable snake_case code, one sentence for the reader.
// A value; any thread. Texts are literals, so a refusal never allocates.
// Codes are part of the documented answer (protocol.md J.2): never rename one.
#pragma once

#include <expected>
#include <string_view>

namespace msp::http {

struct Refusal {
  int status = 400;
  std::string_view code;  ///< for the "error" member of the answer
  std::string_view what;  ///< what happened, and what to do
};

/// A value read from a peer, or why it is refused.
template <class T>
using Checked = std::expected<T, Refusal>;

}  // namespace msp::http
