// SPDX-License-Identifier: Apache-2.0
#include "policy/scratch.h"

#include <functional>

namespace msp::policy {

bool ThreadScratch::is_ours(const void* memory) {
  const std::byte* const begin = block().bytes.data();
  const auto* const at = static_cast<const std::byte*>(memory);
  return !std::less<>()(at, begin) && std::less<>()(at, begin + kThreadBytes);
}

void* ThreadScratch::do_allocate(std::size_t size, std::size_t alignment) {
  Block& from = block();
  const std::size_t start = (from.used + alignment - 1) / alignment * alignment;
  if (alignment > alignof(std::max_align_t) || start > kThreadBytes || size > kThreadBytes - start) {
    return std::pmr::new_delete_resource()->allocate(size, alignment);
  }
  from.used = start + size;
  return from.bytes.data() + start;
}

void ThreadScratch::do_deallocate(void* memory, std::size_t size, std::size_t alignment) {
  if (!is_ours(memory)) {
    std::pmr::new_delete_resource()->deallocate(memory, size, alignment);
  }
}

}  // namespace msp::policy
