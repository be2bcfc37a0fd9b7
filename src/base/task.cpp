// SPDX-License-Identifier: Apache-2.0
#include "base/task.h"

#include <new>

namespace msp::detail {
namespace {

// Under a sanitizer every frame is an allocation of its own, so that its misuse is seen.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kPooled = false;
#else
constexpr bool kPooled = true;
#endif
#else
constexpr bool kPooled = true;
#endif

}  // namespace

FramePool& FramePool::of_this_thread() {
  static thread_local FramePool pool;
  return pool;
}

FramePool::~FramePool() {
  for (Class& frames : classes_) {
    while (frames.first != nullptr) {
      Free* const frame = frames.first;
      frames.first = frame->next;
      ::operator delete(frame);
    }
  }
}

void* FramePool::take(std::size_t size) {
  const std::size_t index = class_of(size);
  if (!kPooled || index > kClasses) {
    return ::operator new(size);
  }
  Class& frames = classes_[index];
  if (frames.first == nullptr) {
    return ::operator new(index * kStep);
  }
  Free* const frame = frames.first;
  frames.first = frame->next;
  --frames.kept;
  return frame;
}

void FramePool::give_back(void* frame, std::size_t size) noexcept {
  const std::size_t index = class_of(size);
  if (!kPooled || index > kClasses || classes_[index].kept == kMostKept) {
    ::operator delete(frame);
    return;
  }
  Class& frames = classes_[index];
  frames.first = new (frame) Free{frames.first};
  ++frames.kept;
}

}  // namespace msp::detail
