// SPDX-License-Identifier: Apache-2.0
// Finds the unified cgroup hierarchy and our place in it.
// Stateless; control thread: reads /proc.
// No cgroup v2 mount is an error with its remedy: without it nothing can be hooked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace msp::intercept {

/// Mount point of the first cgroup2 file system in the text of /proc/self/mountinfo.
Result<std::string> cgroup2_root_in(std::string_view mountinfo);
Result<std::string> cgroup2_root();
/// Path below the root in the text of /proc/<pid>/cgroup ("0::/path").
Result<std::string> cgroup2_path_in(std::string_view text);
/// Directory of this process's own cgroup.
Result<std::string> own_cgroup();
/// Where the record's answer is attached so that listeners get it that outlive a restart. systemd makes a service's
/// cgroup anew at each start, its slice's not: in the slice `openmsp.slice`, which is there for that, it is the slice.
std::string lasting_cgroup(const std::string& own);
/// Whether hooks can be attached there: `file_system` is the directory's statfs::f_type, `root` what cgroup2_root()
/// says, for the remedy. Hierarchies of version 1, and folders that are no cgroup, are refused by name.
Result<void> must_be_unified(const std::string& path, std::uint64_t file_system, const Result<std::string>& root);
/// Opens it as such. A missing one keeps its ENOENT.
Result<Fd> open_cgroup(const std::string& path);
/// The id that the kernel gives to a cgroup directory.
Result<std::uint64_t> cgroup_id(const std::string& path);

}  // namespace msp::intercept
