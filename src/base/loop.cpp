// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace msp {

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wakeup_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  update_now();
  swept_tick_ = now_ / kTickMs;
  if (epoll_ && wakeup_) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeup_.get(), &event);
  }
}

Loop::~Loop() = default;

Result<void> Loop::ready() const {
  if (!epoll_ || !wakeup_) {
    return Error{.source = Source::kKernel,
                 .message = "no descriptor left for the event loop",
                 .hint = "raise LimitNOFILE",
                 .code = EMFILE};
  }
  return {};
}

void Loop::update_now() {
  timespec ts{};
  ::clock_gettime(CLOCK_BOOTTIME, &ts);
  now_ = static_cast<std::uint64_t>(ts.tv_sec) * 1000 + static_cast<std::uint64_t>(ts.tv_nsec) / 1'000'000;
}

Result<void> Loop::add(int fd, std::uint32_t events, EventTarget& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return errno_error("epoll_ctl add");
  }
  return {};
}

void Loop::remove(int fd, EventTarget& target) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  forget(target);
}

void Loop::forget(EventTarget& target) {
  for (int i = 0; i < batch_size_; ++i) {
    epoll_event& event = batch_[static_cast<std::size_t>(i)];
    if (event.data.ptr == &target) {
      event.events = 0;
    }
  }
}

void Loop::arm(Waiter& waiter, Deadline deadline) {
  waiter.deadline_ = deadline;
  if (deadline == kNoDeadline) {
    disarm(waiter);
    return;
  }
  // Behind the tick that was swept last: an overdue timer fires in the next sweep, not a wheel's turn later.
  const std::uint64_t tick = std::max(deadline / kTickMs + 1, swept_tick_ + 1);
  wheel_[tick % kSlots].push_back(waiter);
  next_wake_ = std::min(next_wake_, tick * kTickMs);
}

void Loop::schedule(Waiter& waiter) {
  disarm(waiter);
  ready_.push_back(waiter);
}

void Loop::run(List<Waiter, ReadyTag>& stage) {
  while (Waiter* waiter = stage.pop_front()) {
    waiter->on_ready();
  }
}

void Loop::run_ready() {
  do {
    run(ready_);
    run(reads_);
    if (ready_.empty()) {
      run(writes_);
    }
  } while (!ready_.empty());
}

void Loop::run_timers() {
  if (now_ < next_wake_) {
    return;
  }
  const std::uint64_t tick = now_ / kTickMs;
  const std::uint64_t first = std::max(swept_tick_ + 1, tick >= kSlots ? tick - kSlots + 1 : 0);
  swept_tick_ = tick;
  for (std::uint64_t t = first; t <= tick; ++t) {
    List<Waiter, TimerTag> due;
    due.splice(wheel_[t % kSlots]);
    while (Waiter* waiter = due.pop_front()) {
      if (waiter->deadline_ <= now_) {
        waiter->on_timer();
      } else {
        wheel_[t % kSlots].push_back(*waiter);
      }
    }
  }
  next_wake_ = kNoDeadline;
  for (auto& slot : wheel_) {
    slot.for_each([this](Waiter& w) { next_wake_ = std::min(next_wake_, (w.deadline_ / kTickMs + 1) * kTickMs); });
  }
}

void Loop::run_posted() {
  if (!has_posted_) {
    return;
  }
  has_posted_ = false;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto n = ::read(wakeup_.get(), &count, sizeof(count));
  std::vector<std::function<void()>> batch;
  {
    const std::lock_guard lock(posted_mutex_);
    batch.swap(posted_);
  }
  for (auto& f : batch) {
    f();
    run_ready();
  }
}

int Loop::wait_ms() const {
  if (!next_turn_.empty()) {
    return 0;
  }
  if (next_wake_ == kNoDeadline) {
    return -1;
  }
  const std::uint64_t left = next_wake_ > now_ ? next_wake_ - now_ : 0;
  return static_cast<int>(std::min<std::uint64_t>(left, 3'600'000));
}

void Loop::dispatch(int wait_ms) {
  batch_size_ = ::epoll_wait(epoll_.get(), batch_.data(), static_cast<int>(batch_.size()), wait_ms);
  update_now();
  for (int i = 0; i < batch_size_; ++i) {
    const epoll_event event = batch_[static_cast<std::size_t>(i)];
    if (event.data.ptr == nullptr) {
      has_posted_ = true;
    } else if (event.events != 0) {
      static_cast<EventTarget*>(event.data.ptr)->on_event(event.events);
    }
  }
  batch_size_ = 0;
}

void Loop::run_once(int max_wait_ms) {
  update_now();
  turn(max_wait_ms);
}

/// The time is read once a turn, behind the wait.
void Loop::turn(int max_wait_ms) {
  run_ready();
  const int timer_wait = wait_ms();
  dispatch(timer_wait < 0 ? max_wait_ms : max_wait_ms < 0 ? timer_wait : std::min(timer_wait, max_wait_ms));
  run_timers();
  run_ready();
  run_posted();
  ++turns_;
  ready_.splice(next_turn_);
  run_ready();
}

void Loop::run() {
  update_now();
  while (!stop_.load(std::memory_order_relaxed)) {
    turn(-1);
  }
  stop_.store(false, std::memory_order_relaxed);
}

void Loop::stop() {
  stop_.store(true, std::memory_order_relaxed);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = ::write(wakeup_.get(), &one, sizeof(one));
}

void Loop::post(std::function<void()> f) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(f));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = ::write(wakeup_.get(), &one, sizeof(one));
}

Watch::Watch(Loop& loop, int fd, std::function<void(std::uint32_t)> callback)
    : loop_(loop), fd_(fd), callback_(std::move(callback)) {}

Watch::~Watch() { stop(); }

Result<void> Watch::start(std::uint32_t events) {
  if (started_) {
    return {};
  }
  auto added = loop_.add(fd_, events, *this);
  started_ = added.ok();
  return added;
}

void Watch::stop() {
  if (std::exchange(started_, false)) {
    loop_.remove(fd_, *this);
  }
}

}  // namespace msp
