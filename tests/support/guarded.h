// SPDX-License-Identifier: Apache-2.0
// A copy of bytes that ends exactly at an unreadable page: reading one byte too many is a fault, in every build.
// Tests only.
// Failure to map memory ends the test program.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace msp::test {

class Guarded {
 public:
  explicit Guarded(std::string_view bytes) : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    const std::size_t body = (bytes.size() + page_ - 1) / page_ * page_;
    mapped_ = body + page_;
    void* const memory = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      std::abort();
    }
    base_ = static_cast<char*>(memory);
    if (::mprotect(base_ + body, page_, PROT_NONE) != 0) {
      std::abort();
    }
    char* const start = base_ + body - bytes.size();
    if (!bytes.empty()) {
      std::memcpy(start, bytes.data(), bytes.size());
    }
    view_ = {start, bytes.size()};
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { ::munmap(base_, mapped_); }

  std::string_view view() const { return view_; }

 private:
  std::size_t page_;
  std::size_t mapped_ = 0;
  char* base_ = nullptr;
  std::string_view view_;
};

}  // namespace msp::test
