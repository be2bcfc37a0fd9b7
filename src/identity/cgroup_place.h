// SPDX-License-Identifier: Apache-2.0
// What the path of a cgroup says about who runs in it: systemd unit and container (docs/policy.md).
// Passive values, made on the control thread and shared as shared_ptr<const CgroupPlace>; any thread reads.
// Nothing fails: what is no unit's or container's path has an empty name, and no rule matches that. Only components
// that root's own managers make count; what a user, a service or a container makes below its own cgroup never does.
#pragma once

#include <string>
#include <string_view>

namespace msp::identity {

struct CgroupPlace {
  std::string path;       ///< from the reference cgroup, which is "/"
  std::string unit;       ///< "walinuxagent.service"; empty: in none
  std::string container;  ///< 64 hexadecimal digits; empty: in none

  bool operator==(const CgroupPlace&) const = default;
};

/// `path`: absolute, from the kernel.
CgroupPlace place_in(std::string path);

/// `path` is `ancestor` or below it, component by component; neither ends in '/', except "/".
bool is_at_or_below(std::string_view path, std::string_view ancestor);

}  // namespace msp::identity
