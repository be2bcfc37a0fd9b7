// SPDX-License-Identifier: Apache-2.0
#include "identity/connection_identity.h"

#include <algorithm>
#include <cstring>

#include "bpf/contract.h"
#include "identity/names.h"

namespace msp::identity {
namespace {

std::string text_of(const char* bytes, std::size_t size) { return {bytes, ::strnlen(bytes, size)}; }

/// The record holds the components deepest first, each ended by NUL.
void set_executable(ConnectionIdentity& out, const msp_record& record) {
  const std::string_view all(record.path, std::min<std::size_t>(record.path_len, MSP_PATH_SIZE));
  std::string path;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = all.find('\0', begin);
    if (end == std::string_view::npos) {
      break;
    }
    const std::string_view component = all.substr(begin, end - begin);
    if (begin == 0) {
      out.process_name = component;
    }
    path.insert(0, component);
    path.insert(0, 1, '/');
    begin = end + 1;
  }
  if ((record.flags & MSP_RECORD_PATH_TRUNCATED) != 0) {
    path.insert(0, "...");  // not absolute: equal to no path that a person may have written
  } else if ((record.flags & MSP_RECORD_DETACHED) != 0 && !path.empty()) {
    path.erase(0, 1);
  }
  out.exe_path = std::move(path);
  out.exe_inode = record.exe_inode;
  out.executable_deleted = (record.flags & MSP_RECORD_EXE_DELETED) != 0;
}

static_assert(kMostGroups == MSP_MAX_GROUPS);

void set_groups(ConnectionIdentity& out, const msp_record& record) {
  const std::size_t count = std::min<std::size_t>(record.group_count, MSP_MAX_GROUPS);
  out.groups.reserve(count + 1);
  out.groups.push_back(record.gid);
  for (std::size_t i = 0; i < count; ++i) {
    if (std::find(out.groups.begin(), out.groups.end(), record.groups[i]) == out.groups.end()) {
      out.groups.push_back(record.groups[i]);
    }
  }
  out.more_groups = (record.flags & MSP_RECORD_MORE_GROUPS) != 0;
}

void set_names(ConnectionIdentity& out, const NameTable& names) {
  out.user_name = names.user(out.uid);
  for (const std::uint32_t gid : out.groups) {
    const std::string_view name = names.group(gid);
    if (!name.empty()) {
      out.group_names.emplace_back(name);
    }
  }
}

}  // namespace

std::string_view to_string(Unknown reason) {
  switch (reason) {
    case Unknown::kNone:
      return "none";
    case Unknown::kNoRecord:
      return "no_record";
    case Unknown::kKernelThread:
      return "kernel_thread";
    case Unknown::kContract:
      return "contract_version";
  }
  return "no_record";
}

ConnectionIdentity unknown_identity(Unknown reason) {
  ConnectionIdentity out;
  out.unknown = reason;
  return out;
}

ConnectionIdentity make_identity(const msp_record& record, const NameTable* names) {
  if (record.version != MSP_RECORD_VERSION) {
    return unknown_identity(Unknown::kContract);
  }
  ConnectionIdentity out;
  const bool kernel = (record.flags & MSP_RECORD_KERNEL) != 0;
  out.known = !kernel;
  out.unknown = kernel ? Unknown::kKernelThread : Unknown::kNone;
  out.elevated = out.known && record.uid == 0;
  out.direct = (record.flags & MSP_RECORD_DIRECT) != 0;
  out.user_namespace = (record.flags & MSP_RECORD_USERNS) != 0;
  std::memcpy(out.destination.address.data(), &record.dst_addr, out.destination.address.size());
  out.destination.port = record.dst_port;
  out.uid = record.uid;
  out.gid = record.gid;
  out.euid = record.euid;
  out.egid = record.egid;
  out.tgid = record.tgid;
  out.start_time_ns = record.start_time_ns;
  out.time_ns = record.time_ns;
  out.cgroup_id = record.cgroup_id;
  out.netns_cookie = record.netns_cookie;
  out.comm = text_of(record.comm, sizeof(record.comm));
  set_groups(out, record);
  set_executable(out, record);
  if (names != nullptr) {
    set_names(out, *names);
  }
  return out;
}

}  // namespace msp::identity
