// SPDX-License-Identifier: Apache-2.0
#include "base/unix_socket.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/file.h"

namespace msp {
namespace {

constexpr int kBacklog = 16;

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return config_error(fmt::format("'{}' is {} for a unix socket", path, path.empty() ? "no path" : "too long"),
                        "choose a shorter path");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<Fd> unix_socket(int flags) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!socket) {
    return errno_error("unix socket");
  }
  return socket;
}

// Only a socket that nobody answers on may go: it is what a killed program leaves behind.
Result<void> clear_stale(const std::string& path, std::string_view who) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Result<void>() : errno_error(path);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return config_error(fmt::format("{} exists and is no socket", path), "remove it or choose another path");
  }
  if (connect_unix(path).ok()) {
    return config_error(fmt::format("another {} answers on {}", who, path),
                        fmt::format("stop it, or give each {} a socket of its own", who));
  }
  if (::unlink(path.c_str()) != 0) {
    return errno_error(path);
  }
  return {};
}

}  // namespace

Result<Fd> listen_unix(const std::string& path, std::string_view who) {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code failure;
  if (!std::filesystem::exists(folder, failure)) {
    if (auto made = file::ensure_directory(folder.string(), 0700); !made.ok()) {
      return std::move(made).error();
    }
  }
  const auto address = unix_address(path);
  if (!address.ok()) {
    return address.error();
  }
  if (auto cleared = clear_stale(path, who); !cleared.ok()) {
    return std::move(cleared).error();
  }
  auto socket = unix_socket(SOCK_NONBLOCK);
  if (!socket.ok()) {
    return socket;
  }
  // The mode is the inode's before it has a name: no moment in which others could connect.
  if (::fchmod(socket->get(), 0600) != 0) {
    return errno_error(path);
  }
  if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0 ||
      ::listen(socket->get(), kBacklog) != 0) {
    return errno_error(path);
  }
  return socket;
}

Result<Fd> connect_unix(const std::string& path) {
  const auto address = unix_address(path);
  if (!address.ok()) {
    return address.error();
  }
  auto socket = unix_socket(0);
  if (!socket.ok()) {
    return socket;
  }
  if (::connect(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
    return errno_error(path);
  }
  return socket;
}

}  // namespace msp
