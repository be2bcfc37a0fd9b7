// SPDX-License-Identifier: Apache-2.0
#include "base/version.h"

namespace msp {

std::string_view version() { return MSP_VERSION; }

}  // namespace msp
