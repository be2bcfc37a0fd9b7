// SPDX-License-Identifier: Apache-2.0
// One line of a file of requests: a record or event of the agent's audit log (docs/audit.md), or the simple form of
// docs/mspctl-policy.md.
// Values; any thread. Lines come from logs: texts in them were chosen by clients.
// A line that is neither, or lacks what is needed, says why; nothing is guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "authoring/caller.h"
#include "authoring/judge.h"
#include "base/net.h"

namespace msp::authoring {

/// What an audit record says of the decision; texts may have been cut where they were logged.
struct RecordedRule {
  std::string rule_set;
  std::string reason;
  std::string privilege;
  std::string role;
  std::string identity;
};

struct RequestLine {
  enum class Kind : std::uint8_t {
    kRequest,
    kEvent,        ///< of the audit log, about itself
    kNotForRules,  ///< a record of what no rule decides: `why` says what
    kUnusable,
  };
  Kind kind = Kind::kUnusable;
  std::string why;

  Caller caller;
  Service service = Service::kImds;
  std::string method;
  std::string target;
  std::string host;                 ///< empty: not known, taken to fit
  std::optional<Outcome> recorded;  ///< what became of it; nothing: unknown, or not for a reason of rules
  bool from_log = false;            ///< an audit record: groups are not known, a cgroup only if the caller has one
  RecordedRule by;                  ///< of an audit record
  std::string exe_rule;             ///< of an audit record: a rules' path that the executable was found to be
  bool redacted = false;            ///< a part that rules may ask for was replaced when it was logged
  bool cut = false;                 ///< a text has the longest size that the log keeps: it may be cut
};

/// `service`: who is asked by a line in the simple form that has a path only.
RequestLine read_request_line(std::string_view text, std::optional<Service> service = std::nullopt);

}  // namespace msp::authoring
