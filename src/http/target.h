// SPDX-License-Identifier: Apache-2.0
// Splits a request target into its parts (protocol.md F step 0); views into the caller's bytes, no decoding.
// Pure functions; any thread.
// Bytes come from the client: a target outside the allowed bytes is refused, never repaired.
#pragma once

#include <string_view>

#include "http/refusal.h"

namespace msp::http {

enum class TargetForm : unsigned char { kOrigin, kAbsolute, kAsterisk, kAuthority };

struct Target {
  TargetForm form = TargetForm::kOrigin;
  std::string_view scheme;     ///< absolute-form, as received
  std::string_view authority;  ///< absolute- and authority-form, as received (userinfo and port included)
  std::string_view path;       ///< as received; "/" where absolute-form has none, "*", empty in authority-form (D.1)
  std::string_view query;      ///< without '?'
  bool has_query = false;      ///< there was a '?'
};

inline constexpr std::size_t kMaxTargetBytes = 65534;

/// Fragment cut off; at most kMaxTargetBytes (414), other refusals are 400 `bad_target`.
[[nodiscard]] Checked<Target> parse_target(std::string_view raw);

}  // namespace msp::http
