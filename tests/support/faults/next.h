// SPDX-License-Identifier: Apache-2.0
// MSP_NEXT(name): the function of this name that stands behind the layer (libc's, or a sanitizer's), looked up once.
// For the interposed calls only; any thread.
#pragma once

#include <dlfcn.h>

#define MSP_NEXT(name)                                                                        \
  ([]() -> decltype(&::name) {                                                                \
    static const auto found = reinterpret_cast<decltype(&::name)>(::dlsym(RTLD_NEXT, #name)); \
    return found;                                                                             \
  }())
