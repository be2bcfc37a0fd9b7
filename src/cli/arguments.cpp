// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.h"

#include <CLI/CLI.hpp>

namespace msp::cli {

void parse_arguments(CLI::App& app, const std::vector<std::string>& arguments) {
  for (CLI::Option* option : app.get_options()) {
    option->disable_flag_override();
  }
  // CLI11 takes them last first.
  app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
}

}  // namespace msp::cli
