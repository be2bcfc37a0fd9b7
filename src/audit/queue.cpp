// SPDX-License-Identifier: Apache-2.0
#include "audit/queue.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "audit/codec.h"

namespace msp::audit {
namespace {

/// So full does the ring end a nap: whoever shares a core with the writer waits for one such part, not for all of it.
constexpr std::size_t kShareThatWakes = 16;

}  // namespace

Queue::Queue(std::size_t bytes) : ring_(bytes), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Result<void> Queue::ready() const { return event_ ? Result<void>() : errno_error("eventfd", EMFILE); }

bool Queue::worth_waking(Rest state) {
  if (state == Rest::kSleep) {
    return true;
  }
  const std::size_t enough = ring_.capacity() / kShareThatWakes;
  return state == Rest::kNap && ring_.used() > enough && ring_.refreshed_used() > enough;
}

void Queue::write(const Record& record) noexcept {
  const std::size_t keep_free = record.decision == Decision::kPermit ? ring_.capacity() / 4 : 0;
  char* at = closed_.load(std::memory_order_acquire) ? nullptr : ring_.reserve(encoded_size(record), keep_free);
  if (at == nullptr) {
    losses_.count(record.reason);
    return;
  }
  encode(record, at);
  ring_.commit();
  // commit() and this load are in one total order with the writer's store of its state and its look at the ring: either
  // it sees the record, or we see that it rests.
  if (worth_waking(state_.load(std::memory_order_seq_cst)) && state_.exchange(Rest::kAwake) != Rest::kAwake) {
    wake();
  }
}

void Queue::wake() {
  const std::uint64_t one = 1;
  // Fails only when the counter is full: then the writer is being woken already.
  (void)!::write(event_.get(), &one, sizeof one);
}

void Queue::rest(Rest how, int max_ms) {
  state_.store(how, std::memory_order_seq_cst);
  const std::uint64_t waiting = ring_.head() - ring_.tail();
  const bool stay_awake =
      (how == Rest::kSleep && waiting != 0) || (how == Rest::kNap && waiting > ring_.capacity() / kShareThatWakes);
  if (!stay_awake) {
    pollfd event{.fd = event_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&event, 1, max_ms) > 0) {
      std::uint64_t count = 0;
      (void)!::read(event_.get(), &count, sizeof count);
    }
  }
  state_.store(Rest::kAwake, std::memory_order_seq_cst);
}

}  // namespace msp::audit
