// SPDX-License-Identifier: Apache-2.0
#include "base/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace msp {

Result<SharedMemory> SharedMemory::create(const char* name, std::size_t bytes) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return errno_error("shared memory");
  }
  return map(std::move(fd), bytes);
}

Result<SharedMemory> SharedMemory::map(Fd fd, std::size_t bytes) {
  // Beyond its end a mapping is a trap, not zeros.
  if (::lseek(fd.get(), 0, SEEK_END) < static_cast<off_t>(bytes)) {
    return bug("shared memory is smaller than it should be");
  }
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) {
    return errno_error("shared memory");
  }
  SharedMemory out;
  out.fd_ = std::move(fd);
  out.at_ = static_cast<char*>(at);
  out.size_ = bytes;
  return out;
}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  if (this != &other) {
    unmap();
    fd_ = std::move(other.fd_);
    at_ = std::exchange(other.at_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void SharedMemory::unmap() {
  if (at_ != nullptr) {
    (void)::munmap(at_, size_);
  }
}

}  // namespace msp
