// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "intercept/cgroup.h"

namespace msp::lab {
namespace {

Result<void> write_file(const std::string& path, const std::string& text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return errno_error(fmt::format("cannot write {}", path));
  }
  return {};
}

sockaddr_in to_sockaddr(const Ipv4Endpoint& endpoint) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(endpoint.port);
  std::memcpy(&in.sin_addr, endpoint.address.data(), endpoint.address.size());
  return in;
}

Result<void> configure(const Fd& socket, const char* name, unsigned long request, const Ipv4Endpoint* address) {
  ifreq request_of{};
  std::snprintf(request_of.ifr_name, sizeof(request_of.ifr_name), "%s", name);
  if (address != nullptr) {
    const sockaddr_in in = to_sockaddr(*address);
    std::memcpy(&request_of.ifr_addr, &in, sizeof(in));
  } else {
    request_of.ifr_flags = IFF_UP | IFF_RUNNING;
  }
  if (::ioctl(socket.get(), request, &request_of) != 0) {
    return errno_error(fmt::format("cannot configure {}", name));
  }
  return {};
}

void remove_cgroups(const std::string& top, int tries) {
  for (const char* part : {"/clients", "/agent", ""}) {
    // A client that has just been reaped may leave its cgroup a moment later.
    const std::string path = top + part;
    for (int i = 0; i < tries && ::rmdir(path.c_str()) != 0 && errno == EBUSY; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

constexpr std::string_view kCgroupPrefix = "msp-test-";

/// Cgroups of tests that were killed: their process is gone, nobody else will remove them.
void remove_stale_cgroups(const std::string& root) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(root, ignored)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kCgroupPrefix) &&
        !std::filesystem::exists("/proc/" + name.substr(kCgroupPrefix.size()), ignored)) {
      remove_cgroups(entry.path(), 1);
    }
  }
}

}  // namespace

Result<void> prepare_loopback() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const Ipv4Endpoint mask{{255, 255, 255, 255}, 0};
  auto up = configure(socket, "lo", SIOCSIFFLAGS, nullptr);
  if (!up) {
    return up;
  }
  const char* const names[] = {"lo:1", "lo:2"};
  const Ipv4Endpoint* const addresses[] = {&kImdsEndpoint, &kWireServerEndpoint};
  for (int i = 0; i < 2; ++i) {
    auto address = configure(socket, names[i], SIOCSIFADDR, addresses[i]);
    if (!address) {
      return address;
    }
    auto narrow = configure(socket, names[i], SIOCSIFNETMASK, &mask);
    if (!narrow) {
      return narrow;
    }
  }
  return {};
}

Result<void> set_sysctl(const std::string& name, const std::string& value) {
  return write_file("/proc/sys/" + name, value);
}

Result<void> join_cgroup(const std::string& path) { return write_file(path + "/cgroup.procs", "0"); }

Result<std::unique_ptr<Lab>> Lab::make() {
  std::unique_ptr<Lab> lab(new Lab());  // NOLINT: private constructor
  auto root = intercept::cgroup2_root();
  if (!root) {
    return std::move(root).error();
  }
  remove_stale_cgroups(*root);
  lab->cgroup_ = fmt::format("{}/{}{}", *root, kCgroupPrefix, ::getpid());
  for (const std::string& path : {lab->cgroup_, lab->cgroup_ + "/agent", lab->clients_cgroup()}) {
    if (::mkdir(path.c_str(), 0755) != 0) {
      return errno_error(fmt::format("cannot make the cgroup {}", path));
    }
  }
  auto joined = join_cgroup(lab->cgroup_ + "/agent");
  if (!joined) {
    return std::move(joined).error();
  }
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return errno_error("cannot make namespaces");
  }
  std::string name = "/tmp/msp-lab-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr || ::chmod(name.c_str(), 0755) != 0) {
    return errno_error("cannot make a directory");
  }
  lab->directory_ = name;
  const std::string bpf = name + "/bpf";
  if (::mkdir(bpf.c_str(), 0755) != 0 || ::mount("bpf", bpf.c_str(), "bpf", 0, nullptr) != 0) {
    return errno_error("cannot mount a bpf file system");
  }
  lab->mounted_ = true;
  auto loopback = prepare_loopback();
  if (!loopback) {
    return std::move(loopback).error();
  }
  return lab;
}

Lab::~Lab() {
  if (mounted_) {
    ::umount2((directory_ + "/bpf").c_str(), MNT_DETACH);
  }
  if (!directory_.empty()) {
    ::rmdir((directory_ + "/bpf").c_str());
    ::rmdir(directory_.c_str());
  }
  auto root = intercept::cgroup2_root();
  if (root) {
    static_cast<void>(join_cgroup(*root).ok());
  }
  remove_cgroups(cgroup_, 100);
}

intercept::Config Lab::config() const {
  return {.cgroup_path = cgroup_, .agent_cgroup_path = cgroup_ + "/agent", .pin_directory = directory_ + "/bpf/msp"};
}

intercept::Settings Lab::settings(bool redirect) {
  return {.listeners = {kListener},
          .guarded = {{.destination = kImdsEndpoint, .redirect = redirect, .listener = 0},
                      {.destination = kWireServerEndpoint, .redirect = redirect, .listener = 0},
                      {.destination = kHostGaPluginEndpoint, .redirect = redirect, .listener = 0}}};
}

pid_t Lab::spawn(const Who& who, const std::function<int()>& f) const {
  const pid_t pid = ::fork();
  if (pid != 0) {
    return pid;
  }
  if (!join_cgroup(clients_cgroup()) || ::setgroups(who.groups.size(), who.groups.data()) != 0 ||
      ::setgid(who.gid) != 0 || ::setuid(who.uid) != 0) {
    ::_exit(250);
  }
  ::_exit(f());
}

int wait_for(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) {
    return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

int connect_socket(int fd, const Ipv4Endpoint& to) {
  const sockaddr_in in = to_sockaddr(to);
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&in), sizeof(in)) == 0 ? 0 : errno;
}

int connect_mapped(int fd, const Ipv4Endpoint& to) {
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(to.port);
  in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(in6.sin6_addr.s6_addr + 12, to.address.data(), to.address.size());
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&in6), sizeof(in6)) == 0 ? 0 : errno;
}

int connect_to(const Ipv4Endpoint& to, Fd& out) {
  out.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return out ? connect_socket(out.get(), to) : errno;
}

Result<Fd> accept_one(const Fd& listener) {
  pollfd waiting{.fd = listener.get(), .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, 5000) != 1) {
    return errno_error("nobody connected", ETIMEDOUT);
  }
  Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!accepted) {
    return errno_error("accept");
  }
  return accepted;
}

void BpfTest::SetUp() {
  auto made = Lab::make();
  ASSERT_TRUE(made) << made.error().text();
  lab = std::move(*made);
  auto opened = intercept::Interceptor::open(lab->config());
  ASSERT_TRUE(opened) << opened.error().text();
  interceptor = std::move(*opened);
  auto set = interceptor->set_settings(Lab::settings());
  ASSERT_TRUE(set) << set.error().text();
  auto listening = interceptor->open_listener(kListener, 4096);
  ASSERT_TRUE(listening) << listening.error().text();
  listener = std::move(*listening);
}

int BpfTest::connect_as(const Who& who, const Ipv4Endpoint& to) const {
  return wait_for(lab->spawn(who, [&to] {
    Fd fd;
    return connect_to(to, fd);
  }));
}

Result<identity::ConnectionIdentity> BpfTest::next_identity(const Fd& from) {
  auto accepted = accept_one(from);
  if (!accepted) {
    return std::move(accepted).error();
  }
  return source.identify(accepted->get());
}

}  // namespace msp::lab
