// SPDX-License-Identifier: Apache-2.0
#include "status/control_path.h"

#include "base/configured_program.h"
#include "base/file.h"
#include "base/json.h"

namespace msp::status {

Result<std::string> control_socket_of(const std::string& config_path) {
  auto text = file::read(config_path, file::configuration());
  if (!text.ok()) {
    return std::move(text).error().context("configuration");
  }
  auto document = json::parse(*text, {.skip_bom = true});
  if (!document.ok()) {
    return std::move(document).error().context(config_path);
  }
  const json::Value* socket = document->at("/openmsp/controlSocket");
  if (std::string whose = not_configuration_of("msp-agent", *text); socket == nullptr && !whose.empty()) {
    return config_error(config_path + " names no control socket of an agent", std::move(whose));
  }
  if (socket == nullptr) {
    return std::string(kDefaultControlSocket);
  }
  if (!socket->is_string() || socket->string()->empty()) {
    return config_error(config_path + ": /openmsp/controlSocket is no path");
  }
  return *socket->string();
}

}  // namespace msp::status
