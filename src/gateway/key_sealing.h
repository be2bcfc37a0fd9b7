// SPDX-License-Identifier: Apache-2.0
// What sealed values of the database belong to: they open only for the machine and the key they were made for, so rows
// cannot be exchanged. For the key ring's own sources; pure functions, any thread.
// Nothing fails.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace msp::gateway {

inline constexpr std::size_t kKeySize = 32;

inline std::string key_context(std::string_view vm_id, std::string_view guid) {
  return fmt::format("{} {}", vm_id, guid);
}

inline std::string signer_context(std::string_view vm_id, std::string_view guid) {
  return fmt::format("{} {} signer", vm_id, guid);
}

inline std::string as_text(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace msp::gateway
