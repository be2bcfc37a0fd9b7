// SPDX-License-Identifier: Apache-2.0
// What guests have reported of themselves, for operators: the last of each kind, in memory only.
// Owned by the host; loop's thread.
// Bounded: a few short texts a machine, and for whole status documents so many bytes in all; the oldest go first.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "content/agent_status.h"
#include "content/health_report.h"

namespace msp::content {

struct GuestReport {
  struct Count {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
    std::int64_t last_ns = 0;  ///< wall clock; 0: never
  };
  HealthReport health;
  std::string health_by;  ///< product of the user agent, cut
  std::int64_t health_ns = 0;
  AgentStatus status;
  std::int64_t status_ns = 0;
  Count telemetry;
  Count logs;          ///< uploads of the agent's log: counted, not kept
  Count observations;  ///< POST /HealthService
};

class GuestReports {
 public:
  explicit GuestReports(std::size_t most_bytes) : most_(most_bytes) {}

  void health(const std::string& vm_id, HealthReport report, std::string_view user_agent, std::int64_t now_ns);
  void status(const std::string& vm_id, AgentStatus status, std::int64_t now_ns);
  void telemetry(const std::string& vm_id, std::uint64_t bytes, std::int64_t now_ns);
  void log(const std::string& vm_id, std::uint64_t bytes, std::int64_t now_ns);
  void observation(const std::string& vm_id, std::uint64_t bytes, std::int64_t now_ns);

  /// Null: nothing yet.
  const GuestReport* find(const std::string& vm_id) const;
  /// The machine is gone.
  void forget(const std::string& vm_id);

  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    GuestReport report;
    std::list<Entry*>::iterator place;  ///< in kept_; end: its document is not kept
  };
  Entry& entry(const std::string& vm_id);
  void drop_document(Entry& entry);

  std::size_t most_;
  std::size_t bytes_ = 0;
  std::unordered_map<std::string, Entry> entries_;  // by vmId
  std::list<Entry*> kept_;                          // the oldest document first
};

}  // namespace msp::content
