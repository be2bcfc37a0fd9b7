// SPDX-License-Identifier: Apache-2.0
// The coroutine type of the event loop.
// A Task starts at once (eagerly) on the thread that calls it and is owned by its caller, or detached.
// No exception leaves a task: an uncaught one ends the program, it is a bug.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

namespace msp {
namespace detail {

/// Frames come and go with every call of a coroutine: freed ones wait, by size, for the next call of this thread.
class FramePool {
 public:
  FramePool() = default;
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool();

  void* take(std::size_t size);
  void give_back(void* frame, std::size_t size) noexcept;

  static FramePool& of_this_thread();

 private:
  struct Free {
    Free* next;
  };
  static constexpr std::size_t kStep = 64;
  static constexpr std::size_t kClasses = 32;  // up to 2 KiB
  static constexpr std::uint32_t kMostKept = 256;
  struct Class {
    Free* first = nullptr;
    std::uint32_t kept = 0;
  };
  static std::size_t class_of(std::size_t size) { return (size + kStep - 1) / kStep; }

  std::array<Class, kClasses + 1> classes_;
};

struct PromiseBase {
  std::coroutine_handle<> continuation;
  bool detached = false;

  static void* operator new(std::size_t size) { return FramePool::of_this_thread().take(size); }
  static void operator delete(void* frame, std::size_t size) noexcept {
    FramePool::of_this_thread().give_back(frame, size);
  }

  static std::suspend_never initial_suspend() noexcept { return {}; }

  struct Final {
    static bool await_ready() noexcept { return false; }
    template <class P>
    static std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) noexcept {
      PromiseBase& promise = self.promise();
      if (promise.detached) {
        self.destroy();
        return std::noop_coroutine();
      }
      return promise.continuation ? promise.continuation : std::noop_coroutine();
    }
    static void await_resume() noexcept {}
  };
  static Final final_suspend() noexcept { return {}; }
  [[noreturn]] static void unhandled_exception() { std::terminate(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  /// After return_value only: a task that has ended.
  T take() { return std::move(*value); }  // NOLINT(bugprone-unchecked-optional-access)
};

template <>
struct Promise<void> : PromiseBase {
  static void return_void() {}
  static void take() {}
};

}  // namespace detail

/// co_await it as a statement of its own: `auto r = co_await f(…);`. Destroying an unfinished task destroys its frame.
template <class T = void>
class [[nodiscard]] Task {
 public:
  struct promise_type : detail::Promise<T> {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { destroy(); }

  bool done() const { return !handle_ || handle_.done(); }
  /// Of a task that is done, and once: for those that were given nothing to wait for.
  T result() && { return handle_.promise().take(); }

  /// Lets the task run on by itself; its frame is freed when it ends.
  void detach() && {
    auto handle = std::exchange(handle_, {});
    if (handle.done()) {
      handle.destroy();
    } else {
      handle.promise().detached = true;
    }
  }

  auto operator co_await() & noexcept { return Awaiter{handle_}; }
  auto operator co_await() && noexcept { return Awaiter{handle_}; }

 private:
  struct Awaiter {
    std::coroutine_handle<promise_type> task;
    bool await_ready() const noexcept { return task.done(); }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept { task.promise().continuation = waiter; }
    T await_resume() const { return task.promise().take(); }
  };

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  void destroy() {
    if (handle_) {
      handle_.destroy();
    }
  }

  std::coroutine_handle<promise_type> handle_;
};

}  // namespace msp
