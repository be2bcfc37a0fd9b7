// SPDX-License-Identifier: Apache-2.0
// Names of users and groups in the system's database.
// Any thread; blocks.
// A number without name is the empty text.
#pragma once

#include <cstdint>
#include <string>

namespace msp::cli {

std::string user_name(std::uint32_t uid);
std::string group_name(std::uint32_t gid);

}  // namespace msp::cli
