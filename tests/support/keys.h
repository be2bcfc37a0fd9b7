// SPDX-License-Identifier: Apache-2.0
// Keys that a test knows: number i is always the same one.
// Pure functions; tests only.
// Never fails.
#pragma once

#include <fmt/core.h>

#include <string>

#include "protocol/key.h"

namespace msp::test {

inline std::string key_guid(int number) { return fmt::format("7f3c2d10-5b1e-4d57-8a90-{:012x}", number); }

inline std::string key_hex(int number) {
  return fmt::format("4a404e635266556a586e3272357538782f413f4428472b4b6250645367{:06x}", number);
}

inline protocol::KeyDocument key(int number) {
  return {.guid = key_guid(number),
          .incarnation_id = 1,
          .issued = "2025-04-23T12:00:00Z",
          .key_hex = Secret::copy_of(std::string_view(key_hex(number)))};
}

}  // namespace msp::test
