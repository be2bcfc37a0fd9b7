// SPDX-License-Identifier: Apache-2.0
#include "base/configured_program.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace msp {

std::string_view configured_program(const json::Value& document) {
  const auto has = [&](std::string_view name) { return document.find(name) != nullptr; };
  const bool agent = std::ranges::any_of(std::array{"latchKeyFolder", "eventFolder", "ebpfProgramName"}, has);
  const bool host = std::ranges::any_of(std::array{"listeners", "virtualMachines", "adminSocket"}, has);
  return agent == host ? std::string_view() : agent ? "msp-agent" : "msp-host";
}

std::string not_configuration_of(std::string_view mine, std::string_view text) {
  const auto document = json::parse(text, {.skip_bom = true});
  const std::string_view whose = document.ok() ? configured_program(*document) : std::string_view();
  if (whose.empty() || whose == mine) {
    return {};
  }
  return fmt::format("this is a configuration of {}: name that of {} with --config", whose, mine);
}

}  // namespace msp
