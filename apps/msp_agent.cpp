// SPDX-License-Identifier: Apache-2.0
#include "agent/cli.h"

int main(int argc, char** argv) { return msp::agent::run_cli(argc, argv); }
