// SPDX-License-Identifier: Apache-2.0
// The worker's lines go to the monitor, which has the journal and the files.
// Owned by the worker; any thread logs, the link is used on the loop's. What the link does not take is lost.
// While it is the sink, the loop must be there.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "base/log.h"
#include "base/loop.h"
#include "link/message.h"

namespace msp::worker {

class LineSink final : public log::Sink {
 public:
  using Send = std::function<bool(const link::ToMonitor&)>;
  /// On the loop's thread. `send` must not log.
  LineSink(Loop& loop, Send send) : loop_(loop), send_(std::move(send)), thread_(std::this_thread::get_id()) {}

  void write(log::Level level, const std::string& text, log::Fields fields) override;

 private:
  Loop& loop_;
  Send send_;
  std::thread::id thread_;
};

}  // namespace msp::worker
