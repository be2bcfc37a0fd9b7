// SPDX-License-Identifier: Apache-2.0
// From the data loop to the writer thread, which may be another process's: a ring, losses by reason, and waking that
// costs nothing while the writer is awake or will wake by itself.
// write() is the data loop's, everything else the writer's, except wake() and close() (control thread). The writer
// trusts nothing in the memory that both see. Full: counted by reason. A quarter of the ring is kept for refusals, so
// that permits are lost first.
#pragma once

#include <atomic>
#include <cstdint>

#include "audit/loss.h"
#include "audit/ring.h"
#include "audit/sink.h"
#include "base/fd.h"
#include "base/result.h"
#include "base/shared_memory.h"

namespace msp::audit {

/// What both ends hold of a queue.
struct QueueShare {
  SharedMemory memory;
  std::size_t ring_bytes = 0;
  Fd event;

  static std::size_t memory_bytes(std::size_t ring_bytes);
  /// `bytes` are rounded up to a power of two.
  static Result<QueueShare> create(std::size_t bytes);
  /// Ends the writer's rest: also what a data loop did not come to, since it died on its way there.
  void wake() const;
};

class Queue final : public Sink {
 public:
  /// How the writer rests, and so what wakes it: a nap ends early when a part of the ring is full
  /// (docs/decisions/writer-in-short-stretches.md), a sleep with the next
  /// record, a stall (nothing can be written) with neither. wake() ends each.
  enum class Rest : std::uint8_t { kAwake, kNap, kSleep, kStalled };

  /// Goes on where another queue over the same memory, whose end is gone, has stopped.
  explicit Queue(QueueShare share);

  void write(const Record& record) noexcept override;

  /// Later records are lost (and counted).
  void close() { shared_.closed.store(true, std::memory_order_release); }
  void wake();

  /// Until the time has passed (-1: no limit) or something ends it.
  void rest(Rest how, int max_ms);

  Ring& ring() { return ring_; }
  const LossTable& losses() const { return shared_.losses; }
  const QueueShare& share() const { return share_; }

 private:
  struct Shared {
    RingPositions ring;
    LossTable losses;
    std::atomic<bool> closed = false;
    std::atomic<Rest> state = Rest::kAwake;
  };
  friend struct QueueShare;
  bool worth_waking(Rest state);

  QueueShare share_;
  Shared& shared_;
  Ring ring_;
};

}  // namespace msp::audit
