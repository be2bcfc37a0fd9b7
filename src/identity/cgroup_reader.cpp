// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstring>
#include <filesystem>

#include "base/fd.h"

namespace msp::identity {
namespace {

/// Type of a kernfs file handle, FILEID_KERNFS of the kernel's exportfs.h; its bytes are the 64-bit id.
constexpr int kKernfsHandle = 0xfe;

Fd open_by_id(int mount, std::uint64_t id) {
  alignas(file_handle) std::array<unsigned char, sizeof(file_handle) + sizeof(id)> memory{};
  file_handle head{};
  head.handle_bytes = sizeof(id);
  head.handle_type = kKernfsHandle;
  std::memcpy(memory.data(), &head, sizeof(head));
  std::memcpy(memory.data() + offsetof(file_handle, f_handle), &id, sizeof(id));
  auto* const handle = reinterpret_cast<file_handle*>(memory.data());
  return Fd(::open_by_handle_at(mount, handle, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/// Where the descriptor's file is in this mount namespace; empty if that cannot be told.
std::string path_of_fd(int fd) {
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
  return size <= 0 || static_cast<std::size_t>(size) == path.size()
             ? std::string()
             : std::string(path.data(), static_cast<std::size_t>(size));
}

}  // namespace

Result<std::optional<std::string>> KernelCgroups::path_of(std::uint64_t id) {
  const Fd reference(::open(reference_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!reference) {
    Error error = errno_error("no rule with a unit, cgroup or container matches: cannot open " + reference_);
    error.hint = "name a directory of the unified cgroup hierarchy in openmsp.referenceCgroup";
    return error;
  }
  const Fd found = open_by_id(reference.get(), id);
  if (!found) {
    if (errno == ESTALE || errno == ENOENT) {
      return std::optional<std::string>();
    }
    Error error = errno_error("no rule with a unit, cgroup or container matches: cannot look cgroups up");
    error.hint = "let the agent have CAP_DAC_READ_SEARCH in the initial user namespace";
    return error;
  }
  const std::string root = path_of_fd(reference.get());
  const std::string path = path_of_fd(found.get());
  // The text may lie (removed meanwhile, outside of this mount): it counts if it leads back to the id.
  struct stat seen{};
  if (root.empty() || path.empty() || ::lstat(path.c_str(), &seen) != 0 || seen.st_ino != id) {
    return std::optional<std::string>();
  }
  if (path == root) {
    return std::optional<std::string>("/");
  }
  return std::optional(path.starts_with(root + "/") ? path.substr(root.size()) : std::string());
}

bool KernelCgroups::has_units() {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(reference_, failure)) {
    const std::string suffix = entry.path().extension().string();
    if (suffix == ".slice" || suffix == ".scope" || suffix == ".service") {
      return true;
    }
  }
  return false;
}

}  // namespace msp::identity
