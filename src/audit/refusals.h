// SPDX-License-Identifier: Apache-2.0
// The last refusals, for people who ask why.
// Filled by the writer thread, read by the control thread, under a mutex that the data loop never takes.
// Never fails; bounded.
#pragma once

#include <deque>
#include <mutex>
#include <vector>

#include "audit/log.h"

namespace msp::audit {

class Refusals {
 public:
  static constexpr std::size_t kMax = 32;

  void add(const Record& record);
  /// Newest first.
  std::vector<Refusal> list() const;

 private:
  mutable std::mutex mutex_;
  std::deque<Refusal> last_;
};

}  // namespace msp::audit
