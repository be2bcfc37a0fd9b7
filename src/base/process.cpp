// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <link.h>
#include <malloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace msp {
namespace {

/// The parts of one object that are never written: they are clean pages of a file.
int release_readonly_parts(dl_phdr_info* object, std::size_t /*size*/, void* /*unused*/) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    if (part.p_type == PT_LOAD && (part.p_flags & PF_W) == 0) {
      const std::uintptr_t from = object->dlpi_addr + part.p_vaddr;
      const std::uintptr_t begin = (from + page - 1) & ~(page - 1);
      const std::uintptr_t end = (from + part.p_filesz) & ~(page - 1);
      if (begin < end) {
        // The loader names places by number. NOLINTNEXTLINE(performance-no-int-to-ptr)
        (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
      }
    }
  }
  return 0;
}

}  // namespace

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

void release_unused_memory(std::size_t bytes) {
  if (::mallinfo2().fordblks > bytes) {
    (void)::malloc_trim(0);
  }
}

void release_startup_memory() {
  (void)::malloc_trim(0);
  ::dl_iterate_phdr(release_readonly_parts, nullptr);
}

}  // namespace msp
