// SPDX-License-Identifier: Apache-2.0
// Who asked what how often in the last hours: the connection summaries of protocol.md H.3.
// Filled by the writer thread, read by the control thread, under a mutex that the data loop never takes.
// Never fails; bounded: texts of callers make groups, so whoever comes when there are too many shares one.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "audit/record.h"

namespace msp::audit {

class Tally {
 public:
  static constexpr std::int64_t kBucketNs = 15LL * 60 * 1'000'000'000;
  static constexpr std::size_t kBuckets = 16;  ///< four hours
  static constexpr std::size_t kMaxGroups = 1000;

  /// Held while records are added; one a batch, not one a record.
  class Adding {
   public:
    explicit Adding(Tally& tally) : tally_(tally), lock_(tally.mutex_) {}
    /// `alike`: the record's common_part() is that of the record added before.
    void add(const Record& record, bool alike) { tally_.add(record, alike); }

   private:
    Tally& tally_;
    const std::lock_guard<std::mutex> lock_;
  };

  /// Of the last four hours before `now_ns` (CLOCK_REALTIME); most frequent first.
  Summary list(std::int64_t now_ns) const;

 private:
  struct Group {
    bool refused;  ///< of the second list
    std::uint16_t status;
    std::uint32_t gid;
    std::string user, service, exe, process;

    auto operator<=>(const Group&) const = default;
  };
  /// Counts of consecutive quarters of an hour; a quarter's place is its number modulo kBuckets.
  struct Counts {
    std::int64_t newest = 0;
    std::array<std::uint64_t, kBuckets> of{};

    void add(std::int64_t quarter);
    std::uint64_t sum(std::int64_t quarter) const;
  };

  void add(const Record& record, bool alike);
  Counts& group(Group key, std::int64_t quarter);
  void forget_old(std::int64_t quarter);

  mutable std::mutex mutex_;
  std::map<Group, Counts> groups_;
  Counts* served_ = nullptr;   ///< of the record before; null: it counts nowhere
  Counts* refused_ = nullptr;  ///< likewise
  std::int64_t swept_ = 0;     ///< quarter in which groups without counts were last dropped
};

}  // namespace msp::audit
