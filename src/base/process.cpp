// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace msp {

Result<void> harden_process() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return errno_error("prctl(PR_SET_DUMPABLE)");
  }
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) {
    return errno_error("setrlimit(RLIMIT_CORE)");
  }
  return {};
}

void never_interrupt_others() {
  const sched_param none{};
  // A sandbox may forbid it; then requests cost more, nothing else.
  (void)::sched_setscheduler(0, SCHED_BATCH, &none);
}

}  // namespace msp
