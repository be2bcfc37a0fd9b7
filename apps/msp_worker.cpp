// SPDX-License-Identifier: Apache-2.0
#include "worker/worker.h"

int main() { return msp::worker::run(); }
