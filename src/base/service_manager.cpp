// SPDX-License-Identifier: Apache-2.0
#include "base/service_manager.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace msp {
namespace {

constexpr int kFirstFd = 3;
constexpr std::uint64_t kMostFds = 65'536;  // the environment is trusted, but a typing error is not a loop

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  return failure == std::errc{} && end == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

bool is_us(std::string_view pid) { return number(pid) == static_cast<std::uint64_t>(::getpid()); }

std::vector<ServiceManager::Stored> passed_descriptors() {
  std::vector<ServiceManager::Stored> out;
  if (!is_us(variable("LISTEN_PID"))) {
    return out;
  }
  std::string_view names = variable("LISTEN_FDNAMES");
  const std::uint64_t count = std::min(number(variable("LISTEN_FDS")).value_or(0), kMostFds);
  for (std::uint64_t i = 0; i < count; ++i) {
    const int fd = kFirstFd + static_cast<int>(i);
    const std::string_view name = names.substr(0, names.find(':'));
    names.remove_prefix(std::min(name.size() + 1, names.size()));
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) {
      out.push_back({std::string(name), Fd(fd)});
    }
  }
  return out;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  ServiceManager out;
  out.socket_path_ = variable("NOTIFY_SOCKET");
  const std::string_view pid = variable("WATCHDOG_PID");
  const auto usec = number(variable("WATCHDOG_USEC"));
  if (usec && *usec != 0 && (pid.empty() || is_us(pid))) {
    out.watchdog_ms_ = *usec / 1000;
  }
  out.stored_ = passed_descriptors();
  return out;
}

Result<void> ServiceManager::store(std::string_view name, const Fd& fd) const {
  return send(fmt::format("FDSTORE=1\nFDNAME={}", name), fd.get());
}

Result<void> ServiceManager::forget(std::string_view name) const {
  return send(fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name), -1);
}

// It closes its end of the pipe when it comes to this message.
Result<void> ServiceManager::barrier(int max_ms) const {
  if (!present()) {
    return {};
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return errno_error("pipe");
  }
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  if (auto sent = send("BARRIER=1", theirs.get()); !sent) {
    return sent;
  }
  theirs.reset();
  pollfd closed{.fd = ours.get(), .events = 0, .revents = 0};
  if (::poll(&closed, 1, max_ms) <= 0) {
    return errno_error("the service manager does not answer", ETIMEDOUT);
  }
  return {};
}

Result<void> ServiceManager::send(std::string_view lines, int fd) const {
  if (!present()) {
    return {};
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path_.size() >= sizeof(address.sun_path)) {
    return errno_error("NOTIFY_SOCKET", ENAMETOOLONG);
  }
  std::memcpy(address.sun_path, socket_path_.data(), socket_path_.size());
  if (address.sun_path[0] == '@') {
    address.sun_path[0] = '\0';
  }
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    return errno_error("socket");
  }
  std::string text(lines);
  iovec piece{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_path_.size());
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  }
  if (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0) {
    return errno_error("cannot tell the service manager");
  }
  return {};
}

namespace {

/// From kFirstFd on, open over an exec; what stands there already is moved out of the way first.
Result<void> line_up(std::vector<ServiceManager::Stored>& passed) {
  const int behind = kFirstFd + static_cast<int>(passed.size());
  for (ServiceManager::Stored& each : passed) {
    Fd moved(::fcntl(each.fd.get(), F_DUPFD_CLOEXEC, behind));
    if (!moved) {
      return errno_error("duplicate a descriptor");
    }
    each.fd = std::move(moved);
  }
  int at = kFirstFd;
  for (ServiceManager::Stored& each : passed) {
    if (::dup2(each.fd.get(), at) != at) {
      return errno_error("duplicate a descriptor");
    }
    each.fd.reset(at++);
  }
  return {};
}

}  // namespace

Error take_the_place_of_this(const std::string& program, const std::vector<std::string>& arguments,
                             std::vector<ServiceManager::Stored> passed) {
  if (auto lined_up = line_up(passed); !lined_up) {
    return std::move(lined_up).error();
  }
  std::string names;
  for (const ServiceManager::Stored& each : passed) {
    names += (names.empty() ? "" : ":") + each.name;
  }
  // The number of this process stays.
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", std::to_string(passed.size()).c_str(), 1);
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  std::vector<std::string> texts = arguments;
  std::vector<char*> argv;
  argv.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    argv.push_back(text.data());
  }
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return errno_error("start " + program);
}

}  // namespace msp
