// SPDX-License-Identifier: Apache-2.0
// Where the data path leaves its records, and a fake that keeps them as JSON lines.
// Called by the data loop, one thread a sink.
// Never fails and never blocks: what does not fit is counted.
#pragma once

#include <string>
#include <vector>

#include "audit/record.h"

namespace msp::audit {

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void write(const Record& record) noexcept = 0;
};

/// For tests: the lines as the log would hold them, without newline.
class CollectingSink final : public Sink {
 public:
  void write(const Record& record) noexcept override;
  std::vector<std::string> lines;
};

}  // namespace msp::audit
