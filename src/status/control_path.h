// SPDX-License-Identifier: Apache-2.0
// Where the control socket is: the one field of the agent's configuration that mspctl needs.
// Pure functions and a blocking file read; any thread.
// Errors name the file and the field.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/json_fields.h"
#include "base/result.h"

namespace msp::status {

inline constexpr std::string_view kDefaultControlSocket = "/run/openmsp/agent.sock";
inline constexpr std::size_t kMostSocketPath = 107;

struct ControlSocket {
  std::string path;
  bool by_default = false;  ///< the file says nothing of it
};
/// The member `controlSocket` of the object `openmsp`, or its default; what is wrong with it is the reader's problem.
std::string read_control_socket(json::ObjectReader& ours);

/// `openmsp.controlSocket` of the agent's configuration file, or its default. Nothing else of the file is looked at, so
/// that status can be asked for while the file has a fault elsewhere; but which agent is asked must not be a guess: the
/// file and `openmsp` are objects without doubled members, as the agent wants them. One of msp-host is refused.
Result<ControlSocket> control_socket_of(const std::string& config_path);

}  // namespace msp::status
