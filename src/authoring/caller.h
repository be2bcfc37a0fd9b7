// SPDX-License-Identifier: Apache-2.0
// Somebody who might ask, described by the author of an allowlist instead of by the kernel.
// Values; any thread.
// What is not said is not there: no group, no executable, no unit. No rule that asks for it matches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/connection_identity.h"

namespace msp::authoring {

struct Caller {
  std::string user;
  std::optional<std::uint32_t> uid;
  std::vector<std::string> groups;
  std::string exe;      ///< compared with the rules' paths as text; the agent compares files
  std::string process;  ///< empty: the base name of exe, as the agent takes it
  std::string cgroup;   ///< path of its cgroup; says unit and container as well
  std::string unit;     ///< over what the cgroup says
  std::string container;
  // What the agent cannot always tell (policy::may_be).
  bool unnamed = false;        ///< its uid has no name; `user` is empty
  bool more_groups = false;    ///< it has groups that were not seen, or have no name
  bool place_unknown = false;  ///< its cgroup is gone
};

/// What is said of a caller's place in a form that no process and no rule can have.
struct CallerFault {
  std::string_view member;  ///< "unit", "cgroup" or "container"
  std::string_view value;
  std::string_view what;  ///< "must be …"
};
std::vector<CallerFault> faults_of(const Caller& caller);

/// Elevated is uid 0; where no uid is given, the user root.
identity::ConnectionIdentity make_caller(const Caller& caller);

}  // namespace msp::authoring
