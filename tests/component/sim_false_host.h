// SPDX-License-Identifier: Apache-2.0
// Somebody on the way between agent and host, who answers in the host's place: he hands out keys of his own, also under
// ids of the host, confirms them, and signs that the channel is disabled. Keys that pass by he reads.
// Owned by one test, one thread.
// He knows all that was ever sent, but not the first key: that one was given on a trusted way (SECURITY.md).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "protocol/status_signature.h"
#include "tests/component/sim_host.h"

namespace msp::sim {

class FalseHost {
 public:
  /// A key that the real host gives out.
  void read(const Reply& reply);
  /// `id`: empty: a new one.
  Reply give_key(const std::string& id, std::uint32_t incarnation);
  /// "disabled", signed as well as he can. `date`: of the host's clock.
  Reply status(const test::RequestText& question, const std::string& in_use, const std::string& date) const;

 private:
  std::optional<Secret> secret_of(const std::string& id) const;

  std::map<std::string, std::string> keys_;  ///< id to 32 bytes
};

}  // namespace msp::sim
