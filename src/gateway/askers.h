// SPDX-License-Identifier: Apache-2.0
// Which runs of an agent have asked for this machine's status: one that comes back after another means that two live at
// once, a machine and its copy behind one identity (docs/disks.md). Part of a machine; loop's thread.
// Anybody in the guest can say what he likes here, so it is a reason to look, and decides nothing. Bounded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace msp::gateway {

class Askers {
 public:
  static constexpr std::size_t kMost = 8;
  /// The last request of a run that is over may arrive late, once.
  static constexpr std::uint64_t kSure = 2;

  void asked(std::string_view run, std::int64_t now_ns) {
    if (!runs_.empty() && runs_.back() == run) {
      return;
    }
    if (const auto known = std::ranges::find(runs_, run); known != runs_.end()) {
      ++returns_;
      last_ns_ = now_ns;
      runs_.erase(known);
    } else if (runs_.size() == kMost) {
      runs_.erase(runs_.begin());
    }
    runs_.emplace_back(run);
  }

  bool two_at_once() const { return returns_ >= kSure; }
  std::uint64_t returns() const { return returns_; }
  std::int64_t last_ns() const { return last_ns_; }  ///< wall clock, of the last return

 private:
  std::vector<std::string> runs_;  // the last that asked at the end
  std::uint64_t returns_ = 0;
  std::int64_t last_ns_ = 0;
};

}  // namespace msp::gateway
