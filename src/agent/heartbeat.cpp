// SPDX-License-Identifier: Apache-2.0
#include "agent/heartbeat.h"

#include <algorithm>

#include "base/log.h"

namespace msp::agent {

// Four beats a period: one may come late on a busy machine.
Heartbeat::Heartbeat(Loop& loop, DataLink& data, const ServiceManager& manager)
    : loop_(loop),
      data_(data),
      manager_(manager),
      beating_(beat(std::max<std::uint64_t>(manager.watchdog_ms().value_or(0) / 4, 1))) {}

Task<> Heartbeat::beat(std::uint64_t every_ms) {
  if (!manager_.watchdog_ms()) {
    co_return;
  }
  log::RateLimit limit(1, 60'000);
  for (;;) {
    if (std::exchange(answered_, false)) {
      if (auto told = manager_.notify("WATCHDOG=1"); !told && limit.admit(loop_.now())) {
        log::write(told.error());
      }
      // The answer may come when we are gone: what runs on the link's thread touches the control loop only.
      data_.ask([this, &loop = loop_] { loop.post([this] { answered_ = true; }); });
    }
    co_await loop_.sleep_until(loop_.after_ms(every_ms));
  }
}

}  // namespace msp::agent
