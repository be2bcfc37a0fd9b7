// SPDX-License-Identifier: Apache-2.0
#include "intercept/pins.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "intercept/interceptor.h"

namespace msp::intercept {
namespace {

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error(fmt::format("cannot make the pin directory {}", path));
  }
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    return errno_error(fmt::format("cannot look at {}", path));
  }
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0) {
    return config_error(fmt::format("{} is not a directory that only this user can write to", path),
                        "remove it, or configure another pin directory");
  }
  return {};
}

/// Names in a directory, those that begin with "connect" first: redirection must end before anything it needs.
std::vector<std::string> entries_of(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    out.push_back(entry.path().string());
  }
  std::ranges::sort(out, {}, [](const std::string& path) { return std::pair(!path.contains("/connect"), path); });
  return out;
}

Result<void> remove_all_in(const std::string& directory, bool links) {
  for (const std::string& path : entries_of(directory)) {
    const Fd object(::bpf_obj_get(path.c_str()));
    // Unpinning alone would leave the program attached while a running agent still holds the link.
    if (links && object && ::bpf_link_detach(object.get()) != 0 && errno != ENOLINK) {
      return errno_error(fmt::format("cannot detach {}", path));
    }
    if (::unlink(path.c_str()) != 0) {
      return errno_error(fmt::format("cannot unpin {}", path));
    }
  }
  if (::rmdir(directory.c_str()) != 0 && errno != ENOENT) {
    return errno_error(fmt::format("cannot remove {}", directory));
  }
  return {};
}

}  // namespace

Result<Fd> lock_pins(const std::string& directory) {
  if (auto pins = Pins::open(directory); !pins) {
    return std::move(pins).error();
  }
  Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    return errno_error(fmt::format("cannot open the pin directory {}", directory));
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
    return fd;
  }
  if (errno != EWOULDBLOCK) {
    return errno_error(fmt::format("cannot lock the pin directory {}", directory));
  }
  return Error{.source = Source::kConfig,
               .message = fmt::format("another agent holds the hooks of {}", directory),
               .hint =
                   "stop it first; agents that are to run side by side need their own bpfPinDirectory, listen, cgroup, "
                   "controlSocket, auditFile, statusFile, latchKeyFolder and stateDirectory",
               .code = EBUSY};
}

bool on_bpf_file_system(const std::string& path) {
  struct statfs status{};
  if (::statfs(path.c_str(), &status) != 0) {
    const auto slash = path.find_last_of('/');
    const std::string parent = slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
    if (::statfs(parent.c_str(), &status) != 0) {
      return false;
    }
  }
  return static_cast<std::uint32_t>(status.f_type) == BPF_FS_MAGIC;
}

bool any_link_pinned(const std::string& directory) {
  std::error_code error;
  const std::filesystem::directory_iterator links(directory + "/links", error);
  return error ? error != std::errc::no_such_file_or_directory : links != std::filesystem::directory_iterator();
}

Result<Pins> Pins::open(const std::string& directory) {
  if (!on_bpf_file_system(directory)) {
    return config_error(fmt::format("the pin directory {} does not lie on a bpf file system", directory),
                        "mount -t bpf bpf /sys/fs/bpf, or configure a directory on one that is mounted");
  }
  for (const std::string& path : {directory, directory + "/maps", directory + "/links"}) {
    auto made = make_directory(path);
    if (!made) {
      return std::move(made).error();
    }
  }
  return Pins(directory);
}

Result<void> uninstall(const std::string& pin_directory) {
  if (::access(pin_directory.c_str(), F_OK) != 0) {
    return {};
  }
  if (!on_bpf_file_system(pin_directory)) {
    return config_error(fmt::format("{} does not lie on a bpf file system: nothing of it is removed", pin_directory));
  }
  auto links = remove_all_in(pin_directory + "/links", true);
  if (!links) {
    return links;
  }
  auto maps = remove_all_in(pin_directory + "/maps", false);
  if (!maps) {
    return maps;
  }
  if (::rmdir(pin_directory.c_str()) != 0) {
    return errno_error(fmt::format("cannot remove {}", pin_directory));
  }
  return {};
}

}  // namespace msp::intercept
