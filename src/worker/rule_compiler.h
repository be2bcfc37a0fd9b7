// SPDX-License-Identifier: Apache-2.0
// Compiles rules beside the data loop, which serves meanwhile. Its thread is there before the sandbox, where none can
// be made. Owned by the worker, called on its loop's thread; `done` is called there. Never fails: what cannot be read
// is an explicit deny-all. Of several sets that wait only the newest is compiled.
#pragma once

#include <condition_variable>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/loop.h"
#include "link/message.h"
#include "policy/snapshot.h"

namespace msp::worker {

std::shared_ptr<const policy::Snapshot> compile(const link::Rules& rules);

class RuleCompiler {
 public:
  using Done = std::function<void(std::shared_ptr<const policy::Snapshot>)>;

  RuleCompiler(Loop& loop, Done done);
  RuleCompiler(const RuleCompiler&) = delete;
  RuleCompiler& operator=(const RuleCompiler&) = delete;
  ~RuleCompiler();

  void want(link::Rules rules);

 private:
  void run();

  Loop& loop_;
  Done done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<link::Rules> wanted_;
  bool over_ = false;
  std::latch running_{1};
  std::thread thread_;
};

}  // namespace msp::worker
