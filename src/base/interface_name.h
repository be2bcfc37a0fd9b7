// SPDX-License-Identifier: Apache-2.0
// Names of network interfaces that may go into rules and answers as they are.
// Pure; any thread; any bytes.
// Stricter than the kernel, which takes nearly every byte: nothing here needs quoting anywhere.
#pragma once

#include <algorithm>
#include <string_view>

namespace msp {

constexpr bool is_interface_name(std::string_view name) {
  constexpr std::size_t kLongest = 15;
  return !name.empty() && name.size() <= kLongest && name != "." && name != ".." &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
                  c == '_';
         });
}

}  // namespace msp
