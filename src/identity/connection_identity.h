// SPDX-License-Identifier: Apache-2.0
// Who made a connection: the kernel's record of the connecting task, as a value with names.
// A plain value, made once per accepted connection on the data loop and owned by its session.
// Cannot fail: what is not known is a value (known == false) that policy denies, with the reason beside it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/net.h"
#include "identity/cgroup_place.h"

struct msp_record;

namespace msp::identity {

class NameTable;

/// Why an identity is unknown.
enum class Unknown : std::uint8_t {
  kNone,          ///< it is known
  kNoRecord,      ///< the accepted socket carries no record: not intercepted, or the record was lost
  kKernelThread,  ///< the connecting task was a kernel thread: nobody stands behind it
  kContract,      ///< the record is of another contract version than this program
};
/// Stable snake_case word for logs and audit records.
std::string_view to_string(Unknown reason);

/// Supplementary groups that the kernel's record holds.
inline constexpr std::size_t kMostGroups = 32;

struct ConnectionIdentity {
  bool known = false;
  Unknown unknown = Unknown::kNoRecord;
  bool elevated = false;            ///< real uid 0 in the initial user namespace
  bool direct = false;              ///< connected to the listener itself, nothing was redirected
  bool more_groups = false;         ///< the task has more groups than `groups` holds: the rest matches nothing
  bool user_namespace = false;      ///< the task lives in a user namespace other than the initial one
  bool executable_deleted = false;  ///< the executable has no name any more (unlinked, memfd)
  Ipv4Endpoint destination;         ///< where the client wanted to go
  std::uint32_t uid = ~0U;          ///< real ids, as the initial user namespace sees them
  std::uint32_t gid = ~0U;
  std::uint32_t euid = ~0U;
  std::uint32_t egid = ~0U;
  std::uint32_t tgid = 0;           ///< process id in the initial pid namespace; names nobody once the process is gone
  std::uint64_t start_time_ns = 0;  ///< of the process, CLOCK_BOOTTIME
  std::uint64_t time_ns = 0;        ///< of the connect, CLOCK_BOOTTIME
  std::uint64_t cgroup_id = 0;      ///< cgroup v2
  std::uint64_t netns_cookie = 0;
  std::vector<std::uint32_t> groups;     ///< real gid first, then the supplementary ones; no doubles
  std::string user_name;                 ///< empty: the uid has no name, and no userName matches
  std::vector<std::string> group_names;  ///< of those groups that have one, in the order of `groups`
  std::string exe_path;                  ///< for logs only: a path can lie; empty if unknown
  std::string process_name;              ///< base name of exe_path; can be forged
  std::string comm;                      ///< task name; chosen by the task itself
  /// The rule paths that the executable was found to be, by held pins. Empty matches no exePath.
  std::vector<std::string> exe_rule_paths;
  std::uint64_t exe_inode = 0;  ///< the kernel's; compared with pins only, never shown
  /// Not 0: rules name executables and this one is not known to be any of them, until the pins have caught up with this
  /// ticket (IdentitySource::settle).
  std::uint64_t exe_ticket = 0;
  /// The executable seems to be one that a rule names, but was not held before the record was taken: not ready.
  bool exe_not_yet = false;
  /// cgroup_id was looked up and is no more: `cgroup` will never be known.
  bool cgroup_gone = false;
  /// Where cgroup_id is. Null: not known, and no unit, cgroup or container matches.
  std::shared_ptr<const CgroupPlace> cgroup;
  std::uint64_t cgroup_ticket = 0;  ///< not 0: it has been asked for (IdentitySource::settle_cgroup)
};

/// From a record as the kernel hook wrote it. `names` may be null: then nothing has a name.
ConnectionIdentity make_identity(const msp_record& record, const NameTable* names);
ConnectionIdentity unknown_identity(Unknown reason);

}  // namespace msp::identity
