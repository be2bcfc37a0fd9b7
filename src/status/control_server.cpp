// SPDX-License-Identifier: Apache-2.0
#include "status/control_server.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "status/report.h"

namespace msp::status {
namespace {

constexpr int kBacklog = 16;
constexpr std::size_t kMostConnections = 32;

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return config_error(fmt::format("'{}' is too long for a unix socket", path), "choose a shorter path");
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

// Only a socket that nobody answers on may go: it is what a killed agent leaves behind.
Result<void> clear_stale(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Result<void>() : errno_error(path);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return config_error(fmt::format("{} exists and is no socket", path), "remove it or choose another controlSocket");
  }
  if (connect_control(path).ok()) {
    return config_error(fmt::format("another agent answers on {}", path),
                        "stop it, or give each agent a controlSocket of its own");
  }
  if (::unlink(path.c_str()) != 0) {
    return errno_error(path);
  }
  return {};
}

}  // namespace

Result<Fd> connect_control(const std::string& path) {
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

ControlServer::ControlServer(Loop& loop, http::BufferPool& buffers, Source source)
    : source_(std::move(source)),
      server_(loop, buffers, *this, {.head_ms = 2'000, .idle_ms = 10'000, .max_connections = kMostConnections}) {}

Result<void> ControlServer::listen(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code failure;
  if (!std::filesystem::exists(folder, failure)) {
    if (auto made = file::ensure_directory(folder.string(), 0700); !made.ok()) {
      return std::move(made).error().context("control socket");
    }
  }
  const auto address = unix_address(path);
  if (!address.ok()) {
    return address.error();
  }
  if (auto cleared = clear_stale(path); !cleared.ok()) {
    return std::move(cleared).error().context("control socket");
  }
  auto socket = unix_socket(SOCK_NONBLOCK);
  if (!socket.ok()) {
    return std::move(socket).error();
  }
  // The mode is the inode's before it has a name: no moment in which others could connect.
  if (::fchmod(socket->get(), 0600) != 0) {
    return errno_error("control socket");
  }
  if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0 ||
      ::listen(socket->get(), kBacklog) != 0) {
    return errno_error(path).context("control socket");
  }
  path_ = path;
  return server_.listen(std::move(*socket));
}

void ControlServer::unlink() {
  if (!path_.empty()) {
    ::unlink(std::exchange(path_, {}).c_str());
  }
}

std::uint64_t ControlServer::body_limit(const http::Request&) { return 0; }

Task<http::Response> ControlServer::handle(const http::Request& request) {
  if (request.connection.peer_uid != 0U) {
    co_return http::Response::error(request, 403, "not_root", "The control socket is for root only.").close();
  }
  if (request.target.path != "/v1/status") {
    co_return http::Response::error(request, 404, "no_such_resource", "Ask for /v1/status.");
  }
  if (request.head.method != "GET") {
    co_return http::Response::error(request, 405, "method_not_allowed", "Use GET.").header("allow", "GET");
  }
  co_return http::Response::json(200, status_json(source_()));
}

}  // namespace msp::status
