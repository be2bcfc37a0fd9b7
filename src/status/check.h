// SPDX-License-Identifier: Apache-2.0
// What `mspctl doctor` and `msp-agent check-machine` look at, one by one, and how it is.
// Values; any thread.
// Nothing here fails but the reading of another program's checks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace msp::status {

enum class Verdict : std::uint8_t { kOk, kWarning, kFailure };
/// "ok", "warning", "failure".
std::string_view to_string(Verdict verdict);

struct Check {
  std::string name;  ///< "kernel", "key files", …; the same for all that was found about it
  Verdict verdict = Verdict::kOk;
  std::string what;
  std::string remedy = {};  ///< unless it is ok
};

Verdict worst_of(const std::vector<Check>& checks);

/// {"checks": [{"name", "verdict", "what", "remedy"}, …]}
std::string checks_json(const std::vector<Check>& checks);
Result<std::vector<Check>> read_checks(std::string_view text);

/// For people: a line each, with what to do below it, and a count of them. Escaped.
std::string checks_view(const std::vector<Check>& checks);

}  // namespace msp::status
