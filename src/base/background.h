// SPDX-License-Identifier: Apache-2.0
// One thread that does, in order, what may stand still for as long as a disk does (a file system that is frozen for a
// snapshot), so that the loop that wants it done goes on.
// post() and finish() belong to one thread at a time; what is posted owns what it needs.
// Never fails but by refusing more than may wait.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace msp {

class Background {
 public:
  /// `name`: of the thread, at most 15 bytes. It is made with the first job, and has the signal mask of who posts that.
  Background(const char* name, std::size_t most_waiting) : name_(name), most_waiting_(most_waiting) {}
  /// As finish().
  ~Background() { finish(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// False: so many wait already, and this one is not done.
  bool post(std::function<void()> job);
  /// Returns once all is done. Whatever is posted later is done at once, by who posts it.
  void finish();

 private:
  void run();

  const char* name_;
  std::size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace msp
