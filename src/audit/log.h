// SPDX-License-Identifier: Apache-2.0
// The audit log: a bounded queue from the data loop to a writer thread that appends JSON lines to a file.
// Made, read and stopped by the control thread; sink() is for one data loop; the file belongs to the writer thread.
// Queue or disk full: requests go on, losses are counted by reason and said once, denials are lost last.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "audit/sink.h"
#include "base/clock.h"
#include "base/result.h"

namespace msp::audit {

struct Config {
  std::string path;
  mode_t mode = 0600;                                    ///< 0600 or 0640
  std::uint64_t rotate_bytes = std::uint64_t{64} << 20;  ///< renamed to path.1, path.2 … when it grows beyond
  unsigned keep = 5;                                     ///< old files that stay
  std::size_t queue_bytes = std::size_t{512} << 10;      ///< rounded up to a power of two
  unsigned nap_ms = 50;                                  ///< how long a record may wait for company
  unsigned retry_ms = 1000;                              ///< after a failed write
};

struct QueueShare;

struct Loss {
  std::string reason;  ///< Record::reason, "permit" for none
  std::uint64_t count = 0;
};

/// Since start. Requests that ended = written + sum of lost + still queued.
struct Counters {
  std::uint64_t written = 0;  ///< records in the file
  std::uint64_t permits = 0;  ///< of these
  std::uint64_t denials = 0;
  std::uint64_t audits = 0;
  std::uint64_t lost = 0;    ///< sum of losses
  std::vector<Loss> losses;  ///< by reason
  std::uint64_t rotations = 0;
  std::string problem;  ///< why the file cannot be written now, "" if it can
};

/// What `mspctl status` shows of a refusal; secrets are replaced.
struct Refusal {
  std::int64_t time_ns = 0;
  std::string request_id;
  std::uint16_t status = 0;
  bool passed = false;  ///< mode audit: would have been refused
  bool has_caller = false;
  std::uint32_t uid = 0;
  std::uint32_t pid = 0;
  std::string user, process, exe, service, method, target, reason, rule_set;
  std::string host_code, host_request_id;  ///< of what the host refused; empty: it did not say
};

/// Requests of callers that look alike and had the same answer.
struct SummaryGroup {
  std::string user;
  std::uint32_t gid = 0;
  std::string service, exe, process;
  std::uint16_t status = 0;
  std::uint64_t count = 0;
};
/// protocol.md H.3, of the last four hours; most frequent first.
struct Summary {
  std::vector<SummaryGroup> served;   ///< all that was answered, refusals too
  std::vector<SummaryGroup> refused;  ///< refused by rules (403), or would have been
};

class Log {
 public:
  /// Opens the file and starts the writer. Fails if the place is unsafe or missing; a full or read-only disk is no
  /// failure: the log starts with losses and recovers by itself.
  static Result<std::unique_ptr<Log>> open(const Config& config, const Clock& clock);
  /// As flush_and_stop().
  virtual ~Log() = default;
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  virtual Sink& sink() = 0;
  /// For a data loop in another process, which makes a Queue of it; then sink() is nobody's.
  virtual const QueueShare& share() const = 0;
  /// Writes what is queued and the "end" event. The data loop must have ended; later records are counted as lost.
  virtual void flush_and_stop() = 0;
  /// Waits (at most two seconds) until what was queued before the call is in the file or lost.
  virtual bool flush() = 0;
  virtual Counters counters() const = 0;
  /// The last refusals, newest first.
  virtual std::vector<Refusal> recent_refusals() const = 0;
  /// Of what rules let pass, the last that the host refused, newest first.
  virtual std::vector<Refusal> recent_host_refusals() const = 0;
  /// Records that were lost are in no summary.
  virtual Summary summary() const = 0;

 protected:
  Log() = default;
};

}  // namespace msp::audit
