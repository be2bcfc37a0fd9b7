// SPDX-License-Identifier: Apache-2.0
#include "intercept/cgroup.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <fstream>
#include <sstream>
#include <vector>

namespace msp::intercept {
namespace {

Result<std::string> read_text(const char* path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) {
    return errno_error(fmt::format("cannot read {}", path));
  }
  return text.str();
}

/// mountinfo writes blank, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

Result<std::string> cgroup2_root_in(std::string_view mountinfo) {
  // 36 35 98:0 /root /mount/point rw,noatime master:1 - cgroup2 source rw
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto fields = split(line, ' ');
    for (std::size_t i = 6; i + 1 < fields.size(); ++i) {
      if (fields[i] == "-") {
        if (fields[i + 1] == "cgroup2") {
          return unescape(fields[4]);
        }
        break;
      }
    }
  }
  return Error{.source = Source::kKernel,
               .message = "no cgroup2 file system is mounted",
               .hint = "mount -t cgroup2 none /sys/fs/cgroup/unified, or boot with the unified hierarchy",
               .code = 0};
}

Result<std::string> cgroup2_root() {
  auto text = read_text("/proc/self/mountinfo");
  if (!text) {
    return std::move(text).error();
  }
  return cgroup2_root_in(*text);
}

Result<std::string> cgroup2_path_in(std::string_view text) {
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with("0::")) {
      return std::string(line.substr(3));
    }
  }
  return Error{.source = Source::kKernel,
               .message = "this process is in no cgroup of the unified hierarchy (version 2)",
               .hint =
                   "boot with systemd.unified_cgroup_hierarchy=1, or mount it: mount -t cgroup2 none "
                   "/sys/fs/cgroup/unified",
               .code = 0};
}

Result<std::string> own_cgroup() {
  auto root = cgroup2_root();
  if (!root) {
    return root;
  }
  auto text = read_text("/proc/self/cgroup");
  if (!text) {
    return text;
  }
  auto path = cgroup2_path_in(*text);
  if (!path) {
    return path;
  }
  return *path == "/" ? *root : *root + *path;
}

std::string lasting_cgroup(const std::string& own) {
  const std::string_view parent = std::string_view(own).substr(0, own.find_last_of('/'));
  return parent.ends_with("/openmsp.slice") ? std::string(parent) : own;
}

Result<void> must_be_unified(const std::string& path, std::uint64_t file_system, const Result<std::string>& root) {
  if (file_system == CGROUP2_SUPER_MAGIC) {
    return {};
  }
  return Error{
      .source = Source::kConfig,
      .message = file_system == CGROUP_SUPER_MAGIC
                     ? fmt::format("{} is a cgroup of version 1, to which no hook can be attached", path)
                     : fmt::format("{} is no cgroup", path),
      .hint = root ? fmt::format("name a folder of the unified hierarchy (version 2), which is mounted at {}, as "
                                 "/openmsp/cgroup and /openmsp/agentCgroup in the configuration, or leave them out",
                                 *root)
                   : "boot with systemd.unified_cgroup_hierarchy=1, or mount it: mount -t cgroup2 none "
                     "/sys/fs/cgroup/unified",
      .code = 0};
}

Result<Fd> open_cgroup(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct statfs status{};
  if (!fd || ::fstatfs(fd.get(), &status) != 0) {
    Error error = errno_error(fmt::format("cannot open the cgroup {}", path));
    error.hint = "make it, or name another as /openmsp/cgroup or /openmsp/agentCgroup in the configuration";
    return error;
  }
  if (auto unified = must_be_unified(path, static_cast<std::uint64_t>(status.f_type), cgroup2_root()); !unified) {
    return std::move(unified).error();
  }
  return fd;
}

Result<std::uint64_t> cgroup_id(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return errno_error(fmt::format("cannot find the cgroup {}", path));
  }
  // On 64-bit kernels the inode number of a cgroup directory is its id.
  return static_cast<std::uint64_t>(status.st_ino);
}

}  // namespace msp::intercept
