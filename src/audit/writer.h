// SPDX-License-Identifier: Apache-2.0
// The writer thread of the audit log: takes records from the queue, one write() for what has gathered.
// Made, asked and stopped by the control thread; run() is the thread.
// While the file cannot be written records stay in the queue, and what does not fit there is counted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>

#include "audit/json_line.h"
#include "audit/log.h"
#include "audit/log_file.h"
#include "audit/queue.h"
#include "audit/refusals.h"
#include "audit/tally.h"
#include "base/clock.h"
#include "base/log.h"

namespace msp::audit {

/// What people are shown of the records, besides the file.
struct Views {
  Refusals& refusals;
  Refusals& host_refusals;
  Tally& tally;
};

class Writer {
 public:
  Writer(const Config& config, const Clock& clock, Queue& queue, Views views);

  /// Opens the file; before run().
  Result<void> open();
  /// Until stop(); what is queued then, and the "end" event, are still written.
  void run();
  void stop();
  /// True when all that was queued before the call is in the file; false after two seconds.
  bool flush();
  Counters counters() const;

 private:
  struct Batch {
    std::string text;
    std::uint64_t end = 0;  ///< position in the queue
    std::uint64_t permits = 0;
    std::uint64_t denials = 0;
    std::uint64_t audits = 0;
  };

  bool drain();
  /// Somebody may have moved the file away, or cut it.
  bool time_to_look();
  void fill(Batch& batch);
  void note_spoiled();
  void account(const Batch& batch);
  void note_failure(const Error& error);
  void note_success();
  bool announce_losses();
  void rest(bool wrote, bool failed);
  void finish();
  void count_rest_as_lost();
  void announce_flush(std::uint64_t ticket);

  std::string event(std::string_view name) const;
  std::string start_event(PreviousEnd previous) const;
  std::string counts_event(std::string_view name) const;
  std::uint64_t lost() const { return queue_.losses().total() + own_losses_.total(); }

  const Config config_;
  const Clock& clock_;
  Queue& queue_;
  Views views_;
  LogFile file_;
  LineWriter lines_;
  Batch batch_;
  std::string events_;  // lines of our own that wait to be written
  bool look_ = true;    // at the file before the next line
  std::uint64_t next_look_ms_ = 0;
  std::uint64_t shown_ = 0;      // queue position up to which views_ know the records
  bool tallied_ = false;         // the record that lines_ saw last is one that the tally saw last
  std::uint64_t announced_ = 0;  // losses that the file and the log know of
  std::uint64_t malformed_ = 0;  // records that nobody can have encoded
  std::uint64_t spoiled_ = 0;    // these and what the ring found, as far as they are counted
  log::RateLimit loss_lines_{1, 60'000};

  LossTable own_losses_;
  std::atomic<std::uint64_t> permits_ = 0;
  std::atomic<std::uint64_t> denials_ = 0;
  std::atomic<std::uint64_t> audits_ = 0;
  std::atomic<std::uint64_t> rotations_ = 0;
  std::atomic<bool> stop_ = false;

  mutable std::mutex mutex_;  // never taken by the data loop
  std::condition_variable flushed_;
  std::string problem_;
  std::uint64_t flush_asked_ = 0;
  std::uint64_t flush_done_ = 0;
};

}  // namespace msp::audit
