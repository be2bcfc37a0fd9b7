// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

namespace msp::cli {
namespace {

/// How many arguments an option takes that says where to ask; 0: it is none.
std::size_t arguments_of_place(std::string_view argument) {
  for (const std::string_view option : {"--config", "--socket"}) {
    if (argument == option) {
      return 2;
    }
    if (argument.starts_with(option) && argument[option.size()] == '=') {
      return 1;
    }
  }
  return 0;
}

}  // namespace

std::size_t place_of_verb(const std::vector<std::string>& arguments) {
  std::size_t at = 0;
  while (at < arguments.size() && arguments_of_place(arguments[at]) != 0) {
    at += arguments_of_place(arguments[at]);
  }
  return std::min(at, arguments.size());
}

std::vector<std::string> without_verb(const std::vector<std::string>& arguments, std::size_t place) {
  std::vector<std::string> own(arguments);
  own.erase(own.begin() + static_cast<std::ptrdiff_t>(place));
  return own;
}

void parse_arguments(CLI::App& app, const std::vector<std::string>& arguments) {
  for (CLI::Option* option : app.get_options()) {
    option->disable_flag_override();
  }
  // CLI11 takes them last first.
  app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
}

}  // namespace msp::cli
