// SPDX-License-Identifier: Apache-2.0
// Many connections of 20 users whose processes exec, exit, hand the socket on or are gone before accept, with pids that
// come back at once. The judge is the table of who was really started, kept by the parent.
//   identity_campaign [connections] [seed]
#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "tests/bpf/lab.h"

namespace msp::lab {
namespace {

constexpr unsigned kUsers = 20;
constexpr unsigned kRound = 100;
constexpr unsigned kSlots = 8;
constexpr uid_t kFirstUid = 21000;
constexpr uid_t kReceiverUid = 22000;
constexpr std::uint16_t kFirstPort = 10000;
constexpr unsigned kMostConnections = 50000;
constexpr pid_t kFirstInnerPid = 100;
constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;
constexpr std::array<const char*, 4> kWays{"exit", "send", "exec", "hand"};

/// What the acceptor saw, of fixed size so that a pipe carries it whole.
struct Seen {
  std::uint16_t port;
  bool known;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint32_t tgid;
  std::uint64_t start_time_ns;
  std::uint32_t group_count;
  std::array<std::uint32_t, 4> groups;
  Ipv4Endpoint destination;
  std::array<char, 256> exe_path;
};
static_assert(sizeof(Seen) <= 512);

/// Who was really started.
struct Started {
  Who who;
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;
  std::string exe_path;
  Ipv4Endpoint destination;
  const char* way = "";
  bool judged = false;
};

struct Tally {
  unsigned connections = 0;
  unsigned misattributed = 0;
  unsigned unattributed = 0;
  unsigned failed = 0;
  unsigned delayed = 0;
  unsigned pid_reused = 0;
  std::map<std::string, unsigned> ways;
};

[[noreturn]] void accept_for_ever(const Fd& listener, const Fd& out) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  identity::SocketIdentitySource source;
  for (;;) {
    const Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted) {
      continue;
    }
    Seen seen{};
    auto peer = peer_endpoint(accepted.get());
    auto identity = source.identify(accepted.get());
    seen.port = peer ? peer->port : 0;
    if (identity) {
      seen.known = identity->known;
      seen.uid = identity->uid;
      seen.gid = identity->gid;
      seen.tgid = identity->tgid;
      seen.start_time_ns = identity->start_time_ns;
      seen.group_count = static_cast<std::uint32_t>(identity->groups.size());
      std::copy_n(identity->groups.begin(), std::min<std::size_t>(4, identity->groups.size()), seen.groups.begin());
      seen.destination = identity->destination;
      identity->exe_path.copy(seen.exe_path.data(), seen.exe_path.size() - 1);
    }
    if (::write(out.get(), &seen, sizeof(seen)) != static_cast<ssize_t>(sizeof(seen))) {
      ::_exit(1);
    }
  }
}

/// Takes sockets that clients hand on, and speaks on them as another user.
[[noreturn]] void receive_for_ever(const Fd& from) {
  if (::setgroups(0, nullptr) != 0 || ::setgid(kReceiverUid) != 0 || ::setuid(kReceiverUid) != 0) {
    ::_exit(1);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // only now: a change of credentials clears it
  for (;;) {
    char byte = 0;
    iovec data{.iov_base = &byte, .iov_len = 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    if (::recvmsg(from.get(), &message, MSG_CMSG_CLOEXEC) != 1) {
      continue;
    }
    if (const cmsghdr* rights = CMSG_FIRSTHDR(&message); rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
      const Fd handed(fd);
      ::send(handed.get(), "x", 1, MSG_NOSIGNAL);
    }
  }
}

Result<Fd> receiver_socket() {
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  constexpr std::string_view kName = "msp-receiver";
  std::memcpy(un.sun_path + 1, kName.data(), kName.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + kName.size());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&un), size) != 0) {
    return errno_error("cannot bind the receiver");
  }
  return fd;
}

std::uint64_t start_ticks(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/stat", pid));
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) {
    return 0;
  }
  std::istringstream rest(text.substr(name_end + 2));
  std::string field;
  for (int i = 3; i <= 22; ++i) {
    rest >> field;
  }
  return std::strtoull(field.c_str(), nullptr, 10);
}

Who user(unsigned number) {
  const uid_t uid = kFirstUid + number;
  return {.uid = uid, .gid = uid + 5000, .groups = {uid + 6000, 30000 + number % 3}};
}

class Campaign {
 public:
  Campaign(const Lab& lab, Fd seen, pid_t acceptor, unsigned seed)
      : lab_(lab), seen_(std::move(seen)), acceptor_(acceptor), random_(seed) {
    struct stat status{};
    ::stat("/proc/self/ns/pid_for_children", &status);
    // A second later than any of ours would be a better guess than none: only pids that are free are taken.
    next_outer_ = std::max(1000, ::getpid() + 20000 < pid_max() ? ::getpid() + 20000 : pid_max() / 2);
    for (pid_t& outer : outer_) {
      outer = next_outer_++;
    }
  }

  Result<void> install_programs() {
    for (unsigned i = 0; i < kUsers; ++i) {
      programs_.push_back(fmt::format("{}/user{}/client", lab_.directory(), i));
      std::filesystem::create_directories(std::filesystem::path(programs_.back()).parent_path());
      std::filesystem::copy_file(MSP_IDENTITY_CLIENT, programs_.back());
    }
    other_ = lab_.directory() + "/other";
    std::filesystem::copy_file(MSP_IDENTITY_CLIENT, other_);
    return join_cgroup(lab_.clients_cgroup());  // the clients inherit it
  }

  void run(unsigned connections) {
    for (unsigned done = 0, round = 0; done < connections; done += kRound, ++round) {
      const bool delayed = round % 2 == 1;
      if (delayed && ::kill(acceptor_, SIGSTOP) != 0) {
        fmt::print("cannot stop the acceptor: {}\n", std::strerror(errno));
        ++tally_.failed;
      }
      const unsigned batch = std::min(kRound, connections - done);
      start_batch(done, batch);
      if (delayed) {
        tally_.delayed += batch;
        ::kill(acceptor_, SIGCONT);
      }
      collect(batch);
    }
    for (const auto& [port, started] : table_) {
      if (!started.judged && tally_.unattributed++ < 5) {
        fmt::print("unattributed: port {} uid {} way {}\n", port, started.who.uid, started.way);
      }
    }
  }
  const Tally& tally() const { return tally_; }

 private:
  static pid_t pid_max() {
    pid_t out = 32768;
    std::ifstream("/proc/sys/kernel/pid_max") >> out;
    return out;
  }

  void start_batch(unsigned first, unsigned count) {
    // Slots run side by side; within a slot the same pid comes back at once, mostly as another user.
    std::array<Started*, kSlots> running{};
    std::array<pid_t, kSlots> handle{};
    for (unsigned i = 0; i < count; ++i) {
      const unsigned slot = i % kSlots;
      reap(running[slot], handle[slot]);
      const auto port = static_cast<std::uint16_t>(kFirstPort + first + i);
      running[slot] = start(slot, port, handle[slot]);
    }
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      reap(running[slot], handle[slot]);
    }
  }

  Started* start(unsigned slot, std::uint16_t port, pid_t& handle) {
    const unsigned number = random_() % kUsers;
    Started entry;
    entry.who = user(number);
    entry.exe_path = programs_[number];
    entry.way = kWays[random_() % kWays.size()];
    const std::array<Ipv4Endpoint, 3> all{kImdsEndpoint, kWireServerEndpoint, kHostGaPluginEndpoint};
    entry.destination = all[random_() % all.size()];
    handle = clone_with_pid(slot, entry, port);
    ++tally_.connections;
    ++tally_.ways[entry.way];
    if (handle < 0) {
      ++tally_.failed;
      return nullptr;
    }
    entry.pid = outer_[slot];
    return &(table_[port] = entry);
  }

  /// The child gets the slot's pid in both namespaces; if a stranger has the outer one, the slot moves on.
  pid_t clone_with_pid(unsigned slot, const Started& entry, std::uint16_t port) {
    for (int tries = 0; tries < 100; ++tries) {
      std::array<pid_t, 2> pids{kFirstInnerPid + static_cast<pid_t>(slot), outer_[slot]};
      clone_args arguments{};
      arguments.exit_signal = SIGCHLD;
      arguments.set_tid = reinterpret_cast<std::uint64_t>(pids.data());
      arguments.set_tid_size = pids.size();
      const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof(arguments)));
      if (pid == 0) {
        become_client(entry, port);
      }
      if (pid > 0) {
        tally_.pid_reused += used_[slot] == outer_[slot] ? 1 : 0;
        used_[slot] = outer_[slot];
        return pid;
      }
      if (errno != EEXIST) {
        fmt::print("clone3: {}\n", std::strerror(errno));
        return -1;
      }
      outer_[slot] = next_outer_++;
    }
    return -1;
  }

  [[noreturn]] void become_client(const Started& entry, std::uint16_t port) const {
    if (::setgroups(entry.who.groups.size(), entry.who.groups.data()) == 0 && ::setgid(entry.who.gid) == 0 &&
        ::setuid(entry.who.uid) == 0) {
      const std::string other = "MSP_OTHER=" + other_;
      const std::string from = std::to_string(port);
      const std::string to = address_text(entry.destination);
      const std::string at = std::to_string(entry.destination.port);
      const char* const words[] = {"client", entry.way, from.c_str(), to.c_str(), at.c_str(), nullptr};
      const char* const environment[] = {other.c_str(), nullptr};
      ::execve(entry.exe_path.c_str(), const_cast<char* const*>(words), const_cast<char* const*>(environment));
    }
    ::_exit(99);
  }

  void reap(Started*& entry, pid_t handle) {
    if (entry == nullptr) {
      return;
    }
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(handle), &info, WEXITED | WNOWAIT);
    entry->start_ticks = start_ticks(entry->pid);  // a zombie still says when it was born
    if (const int status = wait_for(handle); status != 0) {
      ++tally_.failed;
      fmt::print("client failed: way {} status {}\n", entry->way, status);
    }
    entry = nullptr;
  }

  void collect(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      pollfd waiting{.fd = seen_.get(), .events = POLLIN, .revents = 0};
      Seen seen{};
      if (::poll(&waiting, 1, 5000) != 1 || ::read(seen_.get(), &seen, sizeof(seen)) != sizeof(seen)) {
        return;
      }
      judge(seen);
    }
  }

  void judge(const Seen& seen) {
    const auto found = table_.find(seen.port);
    if (found == table_.end()) {
      ++tally_.misattributed;
      fmt::print("nobody was started with port {}\n", seen.port);
      return;
    }
    Started& started = found->second;
    if (!seen.known) {
      return;  // stays unjudged: unattributed
    }
    started.judged = true;
    const auto tick = 1000000000ULL / static_cast<unsigned long>(::sysconf(_SC_CLK_TCK));
    const std::array<std::uint32_t, 3> groups{started.who.gid, std::min(started.who.groups[0], started.who.groups[1]),
                                              std::max(started.who.groups[0], started.who.groups[1])};
    const bool good = seen.uid == started.who.uid && seen.gid == started.who.gid && seen.group_count == 3 &&
                      std::equal(groups.begin(), groups.end(), seen.groups.begin()) &&
                      seen.tgid == static_cast<std::uint32_t>(started.pid) &&
                      seen.start_time_ns / tick == started.start_ticks && seen.destination == started.destination &&
                      started.exe_path == seen.exe_path.data();
    if (!good && tally_.misattributed++ < 5) {
      fmt::print("misattributed: port {} way {}: uid {}/{} gid {}/{} pid {}/{} start {}/{} exe {}/{}\n", seen.port,
                 started.way, seen.uid, started.who.uid, seen.gid, started.who.gid, seen.tgid, started.pid,
                 seen.start_time_ns / tick, started.start_ticks, seen.exe_path.data(), started.exe_path);
    }
  }

  const Lab& lab_;
  Fd seen_;
  pid_t acceptor_;
  std::mt19937 random_;
  std::array<pid_t, kSlots> outer_{};
  std::array<pid_t, kSlots> used_{};
  pid_t next_outer_ = 0;
  std::vector<std::string> programs_;
  std::string other_;
  std::map<std::uint16_t, Started> table_;
  Tally tally_;
};

/// Runs as the first process of a pid namespace: clone3 may then choose pids in both.
int drive(const Lab& lab, const Fd& listener, Fd seen, const Fd& report, unsigned connections, unsigned seed) {
  const pid_t acceptor = ::fork();  // in this namespace, so that it can be stopped from here
  if (acceptor == 0) {
    accept_for_ever(listener, report);
  }
  Campaign campaign(lab, std::move(seen), acceptor, seed);
  if (auto installed = campaign.install_programs(); !installed) {
    fmt::print("{}\n", installed.error().text());
    return 1;
  }
  campaign.run(connections);
  const Tally& t = campaign.tally();
  fmt::print("identity campaign: connections={} users={} seed={} accept_delayed={} pids_reused={}", t.connections,
             kUsers, seed, t.delayed, t.pid_reused);
  for (const auto& [way, count] : t.ways) {
    fmt::print(" {}={}", way, count);
  }
  fmt::print(" failed={} misattributed={} unattributed={}\n", t.failed, t.misattributed, t.unattributed);
  const bool reused = t.pid_reused * 10 >= (t.connections > 2 * kSlots ? t.connections - kSlots : 0) * 9;
  return t.failed == 0 && t.misattributed == 0 && t.unattributed == 0 && reused ? 0 : 1;
}

int run(unsigned connections, unsigned seed) {
  struct stat status{};
  if (::stat("/proc/self/ns/pid", &status) != 0 || status.st_ino != kInitialPidNamespace) {
    fmt::print("the campaign must start in the initial pid namespace: records name processes by their pid there\n");
    return 1;
  }
  auto lab = Lab::make();
  if (!lab) {
    fmt::print("{}\n", lab.error().text());
    return 1;
  }
  auto interceptor = intercept::Interceptor::open(lab.value()->config());
  if (!interceptor || !interceptor.value()->set_settings(Lab::settings())) {
    fmt::print("{}\n", interceptor ? "no settings" : interceptor.error().text());
    return 1;
  }
  auto listener = interceptor.value()->open_listener(kListener, 4096);
  auto receiver = receiver_socket();
  std::array<int, 2> ends{};
  if (!listener || !receiver || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    fmt::print("cannot set up\n");
    return 1;
  }
  Fd seen(ends[0]);
  Fd report(ends[1]);
  const pid_t receiving = ::fork();
  if (receiving == 0) {
    receive_for_ever(*receiver);
  }
  int result = 1;
  if (::unshare(CLONE_NEWPID) == 0) {
    const pid_t driver = ::fork();
    if (driver == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int code = drive(*lab.value(), *listener, std::move(seen), report, connections, seed);
      std::fflush(stdout);
      ::_exit(code);
    }
    result = wait_for(driver);
  }
  ::kill(receiving, SIGKILL);
  wait_for(receiving);
  std::error_code ignored;
  for (unsigned i = 0; i < kUsers; ++i) {
    std::filesystem::remove_all(fmt::format("{}/user{}", lab.value()->directory(), i), ignored);
  }
  std::filesystem::remove(lab.value()->directory() + "/other", ignored);
  return result;
}

/// 0 for anything but a plain decimal number.
unsigned number(std::string_view text) {
  unsigned value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc{} && end == text.data() + text.size() ? value : 0;
}

}  // namespace
}  // namespace msp::lab

int main(int count, char** arguments) {
  const unsigned connections = count > 1 ? msp::lab::number(arguments[1]) : 1000;
  const unsigned seed = count > 2 ? msp::lab::number(arguments[2]) : 1;
  if (connections == 0 || connections > msp::lab::kMostConnections) {
    fmt::print("usage: identity_campaign [connections, at most {}] [seed]\n", msp::lab::kMostConnections);
    return 2;
  }
  return msp::lab::run(connections, seed);
}
