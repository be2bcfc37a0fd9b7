// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "base/log_sinks.h"
#include "cli/cli.h"

int main(int argc, char** argv) {
  msp::log::use_stderr();
  return msp::cli::run({argv + (argc > 0 ? 1 : 0), argv + argc}, std::cout, std::cerr);
}
