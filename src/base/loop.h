// SPDX-License-Identifier: Apache-2.0
// A single-threaded epoll loop with timers and coroutine resumption.
// One thread owns a Loop and everything registered with it; only post() and stop() may be called from others.
// Registration can fail (descriptor limit): the error says so, the descriptor stays with the caller.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <vector>

#include "base/fd.h"
#include "base/list.h"
#include "base/result.h"
#include "base/task.h"

namespace msp {

/// Milliseconds on the loop's clock (CLOCK_BOOTTIME: runs on while the machine sleeps).
using Deadline = std::uint64_t;
inline constexpr Deadline kNoDeadline = std::numeric_limits<Deadline>::max();

class Loop;
struct ReadyTag;
struct TimerTag;

/// Something that can be woken by the loop: at most one reason at a time, late wake-ups are unlinked by the destructor.
class Waiter : public ListHook<ReadyTag>, public ListHook<TimerTag> {
 public:
  Waiter() = default;
  virtual ~Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

 protected:
  friend class Loop;
  /// The deadline has passed. Usually: note it and loop.schedule(*this).
  virtual void on_timer() = 0;
  /// Called by the loop from its ready list.
  virtual void on_ready() = 0;

 private:
  Deadline deadline_ = kNoDeadline;
};

/// A waiter that resumes a coroutine.
class CoroutineWaiter : public Waiter {
 protected:
  void on_ready() override { handle_.resume(); }
  std::coroutine_handle<> handle_;
};

/// Receives epoll events of one descriptor.
class EventTarget {
 public:
  EventTarget() = default;
  virtual ~EventTarget() = default;
  EventTarget(const EventTarget&) = delete;
  EventTarget& operator=(const EventTarget&) = delete;

 protected:
  friend class Loop;
  virtual void on_event(std::uint32_t events) = 0;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// False when epoll or eventfd could not be made (descriptor limit); nothing else works then.
  Result<void> ready() const;

  void run();
  /// Runs one turn, waiting at most `max_wait_ms` (tests, drivers of simulated time).
  void run_once(int max_wait_ms);
  /// Any thread: run() returns after the current turn.
  void stop();
  /// Any thread: f runs on the loop's thread in a later turn. Allocates and locks: not for the hot path.
  void post(std::function<void()> f);

  Deadline now() const { return now_; }
  Deadline after_ms(std::uint64_t ms) const { return now_ + ms; }

  Result<void> add(int fd, std::uint32_t events, EventTarget& target);
  /// Must be called before the target dies and before its descriptor is closed.
  void remove(int fd, EventTarget& target);
  /// The same for a descriptor that is closed right after (and was never duplicated): without a system call.
  void forget(EventTarget& target);

  void arm(Waiter& waiter, Deadline deadline);
  static void disarm(Waiter& waiter) { static_cast<ListHook<TimerTag>&>(waiter).unlink(); }
  /// Puts the waiter on the ready list (once) and takes its timer off.
  void schedule(Waiter& waiter);
  /// A turn goes in stages: whoever is ready runs until it waits, then all that is to be read is read, then, when
  /// nobody is ready any more, all that is to be written is written. The code of a stage, ours and the kernel's, thus
  /// runs for everybody while it is in the processor's caches. These put a waiter into a stage; its on_ready() is
  /// called once there, and may schedule() it.
  void read_stage(Waiter& waiter) { reads_.push_back(waiter); }
  void write_stage(Waiter& waiter) { writes_.push_back(waiter); }

  class Sleep;
  Sleep sleep_until(Deadline deadline);
  class NextTurn;
  /// Counts turns, each from when those go on that waited for the next one.
  std::uint64_t turns() const { return turns_; }
  /// Lets every other ready descriptor have its turn first: for loops that may never block.
  NextTurn next_turn();

 private:
  static constexpr std::size_t kSlots = 512;
  static constexpr std::uint64_t kTickMs = 16;
  static constexpr std::size_t kBatch = 64;

  void update_now();
  void turn(int max_wait_ms);
  void dispatch(int wait_ms);
  static void run(List<Waiter, ReadyTag>& stage);
  void run_ready();
  void run_timers();
  void run_posted();
  int wait_ms() const;

  class Wakeup;
  Fd epoll_;
  Fd wakeup_;
  Deadline now_ = 0;
  Deadline next_wake_ = kNoDeadline;
  std::uint64_t swept_tick_ = 0;
  std::array<List<Waiter, TimerTag>, kSlots> wheel_;
  List<Waiter, ReadyTag> ready_;
  List<Waiter, ReadyTag> reads_;
  List<Waiter, ReadyTag> writes_;
  List<Waiter, ReadyTag> next_turn_;
  std::uint64_t turns_ = 0;
  std::array<epoll_event, kBatch> batch_{};
  int batch_size_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  bool has_posted_ = false;
};

class Loop::Sleep : public CoroutineWaiter {
 public:
  Sleep(Loop& loop, Deadline deadline) : loop_(loop), until_(deadline) {}
  bool await_ready() const { return until_ <= loop_.now(); }
  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    loop_.arm(*this, until_);
  }
  void await_resume() const {}

 private:
  void on_timer() override { loop_.schedule(*this); }
  Loop& loop_;
  Deadline until_;
};

class Loop::NextTurn : public CoroutineWaiter {
 public:
  explicit NextTurn(Loop& loop) : loop_(loop) {}
  static bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    loop_.next_turn_.push_back(*this);
  }
  void await_resume() const {}

 private:
  void on_timer() override {}
  Loop& loop_;
};

inline Loop::NextTurn Loop::next_turn() { return NextTurn(*this); }
inline Loop::Sleep Loop::sleep_until(Deadline deadline) { return {*this, deadline}; }

/// Lets coroutines of one loop wait until something is announced.
class Signal {
 public:
  explicit Signal(Loop& loop) : loop_(loop) {}

  class Wait : public CoroutineWaiter, public ListHook<Signal> {
   public:
    Wait(Signal& signal, Deadline deadline) : signal_(signal), until_(deadline) {}
    bool await_ready() const { return until_ <= signal_.loop_.now(); }
    void await_suspend(std::coroutine_handle<> handle) {
      handle_ = handle;
      signal_.waiters_.push_back(*this);
      signal_.loop_.arm(*this, until_);
    }
    /// True if announced, false if the deadline passed first.
    bool await_resume() const { return announced_; }

   private:
    friend class Signal;
    void on_timer() override {
      static_cast<ListHook<Signal>&>(*this).unlink();
      signal_.loop_.schedule(*this);
    }
    Signal& signal_;
    Deadline until_;
    bool announced_ = false;
  };

  Wait wait(Deadline deadline) { return {*this, deadline}; }
  void announce() {
    while (Wait* waiter = waiters_.pop_front()) {
      waiter->announced_ = true;
      loop_.schedule(*waiter);
    }
  }

 private:
  Loop& loop_;
  List<Wait, Signal> waiters_;
};

/// A level-triggered watch on a descriptor (listener, signalfd, inotify) that calls back.
class Watch : public EventTarget {
 public:
  /// The descriptor stays the caller's and must outlive the watch.
  Watch(Loop& loop, int fd, std::function<void(std::uint32_t events)> callback);
  ~Watch() override;
  Result<void> start(std::uint32_t events = EPOLLIN);
  void stop();

 private:
  void on_event(std::uint32_t events) override { callback_(events); }
  Loop& loop_;
  int fd_;
  bool started_ = false;
  std::function<void(std::uint32_t)> callback_;
};

}  // namespace msp
