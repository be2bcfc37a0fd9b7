// SPDX-License-Identifier: Apache-2.0
// What is going to happen to machines: scheduled by an operator, approved by the guest or begun when its time has come.
// Owned by the host; loop's thread; in memory, with a text form of what is known of one machine for who keeps it.
// Bounded: kMostForOne a machine, beyond that adding fails.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"

namespace msp::content {

struct ScheduledEvent {
  std::string id;      ///< GUID
  std::string type;    ///< Freeze, Reboot, Redeploy, Preempt or Terminate
  std::string source;  ///< Platform or User
  std::string description;
  std::int64_t not_before = 0;         ///< seconds since 1970
  std::int64_t duration_seconds = -1;  ///< -1: nobody knows
  bool started = false;
};

/// True for the five types of the public contract, as it spells them.
bool is_event_type(std::string_view text);

class ScheduledEvents {
 public:
  static constexpr std::size_t kMostForOne = 32;

  struct OfOne {
    std::uint64_t incarnation = 1;  ///< raised by every change
    std::vector<ScheduledEvent> events;
  };

  /// Gives it an id, which is returned.
  Result<std::string> add(const std::string& vm_id, ScheduledEvent event);
  /// All of these begin, or none: false, where one is not there.
  bool approve(const std::string& vm_id, const std::vector<std::string>& ids);
  /// It is over, or called off. False: there is no such event.
  bool end(const std::string& vm_id, std::string_view id);
  void forget(const std::string& vm_id) { machines_.erase(vm_id); }

  /// As things stand at this time: what was due has begun.
  const OfOne& at(const std::string& vm_id, std::int64_t now_seconds);
  /// As things stood when somebody looked last.
  const OfOne& kept(const std::string& vm_id) const;
  /// In the place of what is known of this machine.
  void put(const std::string& vm_id, OfOne of) { machines_[vm_id] = std::move(of); }

 private:
  std::unordered_map<std::string, OfOne> machines_;  // by vmId
};

/// JSON that the second reads; damaged text is refused as a whole.
std::string events_record(const ScheduledEvents::OfOne& of);
Result<ScheduledEvents::OfOne> read_events_record(std::string_view text);

}  // namespace msp::content
