// SPDX-License-Identifier: Apache-2.0
#include "base/background.h"

#include <pthread.h>

#include <utility>

namespace msp {

bool Background::post(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      if (jobs_.size() >= most_waiting_) {
        return false;
      }
      jobs_.push_back(std::move(job));
      if (!thread_.joinable()) {
        thread_ = std::thread([this] {
          ::pthread_setname_np(::pthread_self(), name_);
          run();
        });
      }
      changed_.notify_one();
      return true;
    }
  }
  job();
  return true;
}

void Background::finish() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Background::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ended_ || !jobs_.empty(); });
    if (jobs_.empty()) {
      return;
    }
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

}  // namespace msp
