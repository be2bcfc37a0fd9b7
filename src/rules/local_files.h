// SPDX-License-Identifier: Apache-2.0
// Where local rule files come from (protocol.md I.2): one narrow interface, with the directory behind it.
// Owned by the assembly, called by the Publisher on the control thread; blocks for file I/O and, on bad JSON, 100 ms.
// Every trouble but a missing file is LocalRules::State::kFailed with the reason: the service is then closed (I.5).
#pragma once

#include <string>

#include "base/net.h"
#include "rules/local_rules.h"

namespace msp::rules {

class LocalSource {
 public:
  LocalSource() = default;
  LocalSource(const LocalSource&) = delete;
  LocalSource& operator=(const LocalSource&) = delete;
  virtual ~LocalSource() = default;

  /// IMDS or WireServer; the others have no local rules.
  virtual LocalRules load(Service service) = 0;
};

/// `WireServer_Rules.json` and `IMDS_Rules.json`. Read at every call, so that no rewrite goes unnoticed. File and
/// directory must belong to root or this user, be writable by nobody else, and hold no symbolic link (attacks D08).
class LocalDirectory final : public LocalSource {
 public:
  explicit LocalDirectory(std::string directory) : directory_(std::move(directory)) {}
  LocalRules load(Service service) override;

 private:
  std::string directory_;
};

}  // namespace msp::rules
