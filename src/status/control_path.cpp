// SPDX-License-Identifier: Apache-2.0
#include "status/control_path.h"

#include "base/configured_program.h"
#include "base/file.h"
#include "base/json.h"

namespace msp::status {

Result<ControlSocket> control_socket_of(const std::string& config_path) {
  auto text = file::read(config_path, file::configuration());
  if (!text.ok()) {
    return std::move(text).error().context("configuration");
  }
  auto document = json::parse(*text, {.skip_bom = true});
  if (!document.ok()) {
    return std::move(document).error().context(config_path);
  }
  const json::Value* socket = document->at("/openmsp/controlSocket");
  if (socket == nullptr) {
    if (configured_program(*document) == "msp-host") {
      return config_error(config_path + " is a configuration of msp-host, not of msp-agent",
                          "name the agent's with --config; the host is asked by mspctl vm, profile, key and host");
    }
    return ControlSocket{.path = std::string(kDefaultControlSocket), .by_default = true};
  }
  if (!socket->is_string() || socket->string()->empty()) {
    return config_error(config_path + ": /openmsp/controlSocket is no path");
  }
  return ControlSocket{.path = *socket->string(), .by_default = false};
}

}  // namespace msp::status
