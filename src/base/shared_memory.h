// SPDX-License-Identifier: Apache-2.0
// Memory that two processes see: made by one, passed as a descriptor, mapped by both; its size can no more be changed.
// Move-only, one owner in each process; unmapped by the destructor. Any thread.
// Whatever the other process may write is untrusted input and may change at any moment: copy, then look.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace msp {

class SharedMemory {
 public:
  SharedMemory() = default;
  /// `bytes` zeros. `name` is shown in /proc only.
  static Result<SharedMemory> create(const char* name, std::size_t bytes);
  /// What another process has made; smaller than `bytes`: Source::kBug.
  static Result<SharedMemory> map(Fd fd, std::size_t bytes);

  SharedMemory(SharedMemory&& other) noexcept
      : fd_(std::move(other.fd_)), at_(std::exchange(other.at_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory() { unmap(); }

  const Fd& fd() const { return fd_; }
  std::span<char> bytes() const { return {at_, size_}; }

 private:
  void unmap();
  Fd fd_;
  char* at_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace msp
