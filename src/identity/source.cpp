// SPDX-License-Identifier: Apache-2.0
#include "identity/source.h"

#include <sys/socket.h>

#include <cerrno>

#include "bpf/contract.h"
#include "identity/names.h"

namespace msp::identity {

Result<ConnectionIdentity> SocketIdentitySource::identify(int accepted_fd) {
  msp_record record{};
  socklen_t size = sizeof(record);
  if (::getsockopt(accepted_fd, MSP_SOL, MSP_SO_RECORD, &record, &size) != 0) {
    // The kernel's own words for an option that nobody answered.
    if (errno == EOPNOTSUPP || errno == ENOPROTOOPT) {
      return unknown_identity(Unknown::kNoRecord);
    }
    return errno_error("cannot read the record of an accepted connection");
  }
  if (size != sizeof(record)) {
    return unknown_identity(Unknown::kContract);
  }
  ConnectionIdentity out = make_identity(record, names_.get());
  if (pins_ != nullptr && !pins_->idle() && out.known && out.exe_inode != 0 &&
      find_executable(out) == PinTable::Found::kNone && on_miss_.executable) {
    out.exe_ticket = on_miss_.executable();
  }
  if (cgroups_ != nullptr && !cgroups_->idle() && out.known) {
    (void)settle_cgroup(out);  // what is not known will be, when the request has come
  }
  if (names_ != nullptr && on_miss_.user && !names_->has_user(out.uid)) {
    on_miss_.user(out.uid);
  }
  if (names_ != nullptr && on_miss_.group) {
    for (const std::uint32_t gid : out.groups) {
      if (!names_->has_group(gid)) {
        on_miss_.group(gid);
      }
    }
  }
  return out;
}

PinTable::Found SocketIdentitySource::find_executable(ConnectionIdentity& out) const {
  const PinTable::Found found = pins_->find(out.exe_inode, out.time_ns, out.exe_rule_paths);
  out.exe_not_yet = found == PinTable::Found::kYoung;
  return found;
}

bool SocketIdentitySource::settle(ConnectionIdentity& identity) const {
  if (pins_ != nullptr && pins_->ticket() < identity.exe_ticket) {
    return false;
  }
  identity.exe_ticket = 0;
  identity.exe_rule_paths.clear();
  if (pins_ != nullptr) {
    (void)find_executable(identity);
  }
  return true;
}

bool SocketIdentitySource::settle_cgroup(ConnectionIdentity& identity) {
  using Found = CgroupTable::Found;
  const Found found = cgroups_ == nullptr ? Found::kFailed : cgroups_->find(identity.cgroup_id, identity.cgroup);
  if (found == Found::kUnknown) {
    // Asked for and answered, and yet not there: others have pushed it out since.
    const bool pending = identity.cgroup_ticket > cgroups_->ticket();
    if (!pending && on_miss_.cgroup) {
      identity.cgroup_ticket = on_miss_.cgroup(identity.cgroup_id);
    }
    return false;
  }
  identity.cgroup_gone = found == Found::kGone;
  return true;
}

}  // namespace msp::identity
