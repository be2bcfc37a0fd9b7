// SPDX-License-Identifier: Apache-2.0
// What the kernel calls a file: the words in which records name executables, and the only ones that do not lie
// (design.md section 3: paths, devices and inode numbers do).
// Implemented by intercept::Interceptor, by a fake in tests; control thread.
// An error means that nothing can be known about executables: rules that ask for one then match nothing.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace msp::identity {

struct KernelFile {
  std::uint64_t inode = 0;  ///< address of the inode; nobody else's while a descriptor of the file is open; never shown
  std::uint64_t seen_ns = 0;  ///< CLOCK_BOOTTIME
};

class KernelFiles {
 public:
  virtual ~KernelFiles() = default;
  /// Of a descriptor of this process, O_PATH included.
  virtual Result<KernelFile> look_at(int fd) = 0;
};

}  // namespace msp::identity
