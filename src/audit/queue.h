// SPDX-License-Identifier: Apache-2.0
// From the data loop to the writer thread: a ring, losses by reason, and waking that costs nothing while the writer is
// awake or will wake by itself.
// write() is the data loop's, everything else the writer's, except wake() and close() (control thread).
// Full: counted by reason. A quarter of the ring is kept for refusals, so that permits are lost first.
#pragma once

#include <atomic>
#include <cstdint>

#include "audit/loss.h"
#include "audit/ring.h"
#include "audit/sink.h"
#include "base/fd.h"
#include "base/result.h"

namespace msp::audit {

class Queue final : public Sink {
 public:
  explicit Queue(std::size_t bytes);
  /// False when the descriptor that wakes the writer could not be made.
  Result<void> ready() const;

  void write(const Record& record) noexcept override;

  /// Later records are lost (and counted).
  void close() { closed_.store(true, std::memory_order_release); }
  void wake();

  /// How the writer rests, and so what wakes it: a nap ends early when a part of the ring is full
  /// (docs/decisions/writer-in-short-stretches.md), a sleep with the next
  /// record, a stall (nothing can be written) with neither. wake() ends each.
  enum class Rest : std::uint8_t { kAwake, kNap, kSleep, kStalled };
  /// Until the time has passed (-1: no limit) or something ends it.
  void rest(Rest how, int max_ms);

  Ring& ring() { return ring_; }
  const LossTable& losses() const { return losses_; }

 private:
  bool worth_waking(Rest state);

  Ring ring_;
  Fd event_;
  LossTable losses_;
  std::atomic<bool> closed_ = false;
  std::atomic<Rest> state_ = Rest::kAwake;
};

}  // namespace msp::audit
