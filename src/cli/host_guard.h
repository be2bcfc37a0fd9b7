// SPDX-License-Identifier: Apache-2.0
// `mspctl host guard --nftables`: rules that tie source addresses to the interfaces of the machines that a running
// msp-host knows, since by its source address a machine is known (docs/host-guard.md).
// Called by the verb; single-threaded. It prints, and loads nothing.
// What the host says goes into rules only as an address, a name or a number that was read as one.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace msp::cli {

int host_guard(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

struct GuardedMachine {
  std::string name;                     ///< for comments
  std::vector<std::string> addresses;   ///< dotted decimal
  std::vector<std::string> interfaces;  ///< none: it cannot be guarded
  std::vector<std::string> ethers;      ///< 00:0d:3a:00:00:01; none: any
  bool names_no_ether = false;          ///< the model has one that is none
};

struct GuardInput {
  std::vector<std::string> services;  ///< addresses that only the host has
  std::vector<GuardedMachine> machines;
};

/// From the answers of /v1/host and /v1/virtualMachines.
Result<GuardInput> read_guard(const json::Value& host, const json::Value& machines);
/// For `nft -f`; takes the place of what it made before, in one step. `routed`: interfaces are no ports of a bridge.
std::string nftables_rules(const GuardInput& input, bool routed);

}  // namespace msp::cli
