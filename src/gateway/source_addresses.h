// SPDX-License-Identifier: Apache-2.0
// Lists of source addresses and of interfaces as text, for the store and for answers.
// Pure functions; any thread.
// What is no address is an error that names it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/config.h"

namespace msp::gateway {

/// "10.0.0.4", or of a network "10.0.0.4 at br0".
std::string place_text(const Ipv4Address& address, std::string_view network);

/// Why no connection of a machine can come from there; empty: one can.
std::string_view why_no_source(const Ipv4Address& address);

/// Separated by blanks.
std::string join_addresses(const std::vector<Ipv4Address>& addresses);
Result<std::vector<Ipv4Address>> split_addresses(std::string_view text);

/// The same of names of interfaces.
std::string join_names(const std::vector<std::string>& names);
std::vector<std::string> split_names(std::string_view text);

}  // namespace msp::gateway
