// SPDX-License-Identifier: Apache-2.0
#include "audit/queue.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <new>

#include "audit/codec.h"

namespace msp::audit {
namespace {

/// So full does the ring end a nap: whoever shares a core with the writer waits for one such part, not for all of it.
constexpr std::size_t kShareThatWakes = 48;

}  // namespace

std::size_t QueueShare::memory_bytes(std::size_t ring_bytes) { return sizeof(Queue::Shared) + ring_bytes; }

Result<QueueShare> QueueShare::create(std::size_t bytes) {
  QueueShare out;
  out.ring_bytes = std::bit_ceil(std::max(bytes, Ring::kMinBytes));
  auto memory = SharedMemory::create("msp-audit", memory_bytes(out.ring_bytes));
  if (!memory) {
    return std::move(memory).error();
  }
  out.memory = *std::move(memory);
  out.event = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!out.event) {
    return errno_error("eventfd");
  }
  ::new (out.memory.bytes().data()) Queue::Shared();
  return out;
}

void QueueShare::wake() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is full: then the writer is being woken already.
  (void)!::write(event.get(), &one, sizeof one);
}

Queue::Queue(QueueShare share)
    : share_(std::move(share)),
      shared_(*std::launder(reinterpret_cast<Shared*>(share_.memory.bytes().data()))),
      ring_(shared_.ring, share_.memory.bytes().subspan(sizeof(Shared), share_.ring_bytes)) {}

bool Queue::worth_waking(Rest state) {
  if (state == Rest::kSleep) {
    return true;
  }
  const std::size_t enough = ring_.capacity() / kShareThatWakes;
  return state == Rest::kNap && ring_.used() > enough && ring_.refreshed_used() > enough;
}

void Queue::write(const Record& record) noexcept {
  const std::size_t keep_free = record.decision == Decision::kPermit ? ring_.capacity() / 4 : 0;
  char* at = shared_.closed.load(std::memory_order_acquire) ? nullptr : ring_.reserve(encoded_size(record), keep_free);
  if (at == nullptr) {
    shared_.losses.count(record.reason);
    return;
  }
  encode(record, at);
  ring_.commit();
  // commit() and this load are in one total order with the writer's store of its state and its look at the ring: either
  // it sees the record, or we see that it rests.
  if (worth_waking(shared_.state.load(std::memory_order_seq_cst)) &&
      shared_.state.exchange(Rest::kAwake) != Rest::kAwake) {
    wake();
  }
}

void Queue::wake() { share_.wake(); }

void Queue::rest(Rest how, int max_ms) {
  shared_.state.store(how, std::memory_order_seq_cst);
  const std::uint64_t waiting = ring_.head() - ring_.tail();
  const bool stay_awake =
      (how == Rest::kSleep && waiting != 0) || (how == Rest::kNap && waiting > ring_.capacity() / kShareThatWakes);
  if (!stay_awake) {
    pollfd event{.fd = share_.event.get(), .events = POLLIN, .revents = 0};
    if (::poll(&event, 1, max_ms) > 0) {
      std::uint64_t count = 0;
      (void)!::read(share_.event.get(), &count, sizeof count);
    }
  }
  shared_.state.store(Rest::kAwake, std::memory_order_seq_cst);
}

}  // namespace msp::audit
