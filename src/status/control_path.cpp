// SPDX-License-Identifier: Apache-2.0
#include "status/control_path.h"

#include <fmt/core.h>

#include "base/configured_program.h"
#include "base/file.h"
#include "base/json.h"

namespace msp::status {

std::string read_control_socket(json::ObjectReader& ours) {
  std::string path = ours.string("controlSocket", kDefaultControlSocket);
  if (path.empty()) {
    ours.fail("controlSocket", "must not be empty");
  } else if (path.front() != '/') {
    ours.fail("controlSocket", "must be an absolute path");
  } else if (path.size() > kMostSocketPath) {
    ours.fail("controlSocket", fmt::format("is longer than {} bytes", kMostSocketPath));
  }
  return path;
}

Result<ControlSocket> control_socket_of(const std::string& config_path) {
  auto text = file::read(config_path, file::configuration());
  if (!text.ok()) {
    return std::move(text).error().context("configuration");
  }
  auto document = json::parse(*text, {.skip_bom = true});
  if (!document.ok()) {
    return std::move(document).error().context(config_path);
  }
  json::Problems problems(*text, config_path);
  json::ObjectReader top(*document, "", problems);
  json::ObjectReader ours = top.object("openmsp");
  const bool named = ours.has("controlSocket");
  if (!named && configured_program(*document) == "msp-host") {
    return config_error(config_path + " is a configuration of msp-host, not of msp-agent",
                        "name the agent's with --config; the host is asked by mspctl vm, profile, key and host");
  }
  std::string path = read_control_socket(ours);
  if (auto good = problems.result(); !good.ok()) {
    return std::move(good).error();
  }
  return ControlSocket{.path = std::move(path), .by_default = !named};
}

}  // namespace msp::status
