// SPDX-License-Identifier: Apache-2.0
#include "audit/log.h"

#include <pthread.h>
#include <signal.h>

#include <thread>

#include "audit/writer.h"

namespace msp::audit {
namespace {

/// Signals are the main thread's: a thread made while this lives has them blocked.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

class LogImpl final : public Log {
 public:
  LogImpl(const Config& config, const Clock& clock, QueueShare share)
      : clock_(clock), queue_(std::move(share)), writer_(config, clock, queue_, {refusals_, host_refusals_, tally_}) {}
  ~LogImpl() override { stop(); }

  Result<void> start() {
    if (auto opened = writer_.open(); !opened) {
      return opened;
    }
    const BlockedSignals blocked;
    thread_ = std::thread([this] {
      ::pthread_setname_np(::pthread_self(), "audit");
      writer_.run();
    });
    return {};
  }

  Sink& sink() override { return queue_; }
  const QueueShare& share() const override { return queue_.share(); }
  void flush_and_stop() override { stop(); }
  bool flush() override { return thread_.joinable() && writer_.flush(); }
  Counters counters() const override { return writer_.counters(); }
  std::vector<Refusal> recent_refusals() const override { return refusals_.list(); }
  std::vector<Refusal> recent_host_refusals() const override { return host_refusals_.list(); }
  Summary summary() const override { return tally_.list(clock_.realtime_ns()); }

 private:
  void stop() {
    if (thread_.joinable()) {
      queue_.close();
      writer_.stop();
      thread_.join();
    }
  }

  const Clock& clock_;
  Queue queue_;
  Refusals refusals_;
  Refusals host_refusals_;
  Tally tally_;
  Writer writer_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Log>> Log::open(const Config& config, const Clock& clock) {
  auto share = QueueShare::create(config.queue_bytes);
  if (!share) {
    return std::move(share).error();
  }
  auto log = std::make_unique<LogImpl>(config, clock, *std::move(share));
  if (auto started = log->start(); !started) {
    return std::move(started).error();
  }
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace msp::audit
