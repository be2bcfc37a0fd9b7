// SPDX-License-Identifier: Apache-2.0
#include "gateway/app.h"

int main(int argc, char** argv) { return msp::gateway::host_main(argc, argv); }
