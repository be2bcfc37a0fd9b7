// SPDX-License-Identifier: Apache-2.0
// A worker that is somebody else's: the shipped worker's code, and as soon as it is confined and serves, code that
// tries what an attacker would. Prints a line for each attempt: its name, and "done" or the error; after these, what a
// sweep over all system calls found. Called "attacker --free" it tries the same without being confined: the control, in
// which each attempt must be done.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "sweep.h"
#include "worker/worker.h"

namespace {

struct Attempt {
  const char* name;
  std::function<bool()> act;  ///< true: done
};

/// In a child where there may be one, so that success does not end or change us.
bool in_child(const std::function<bool()>& act) {
  const pid_t pid = ::fork();
  if (pid < 0) {
    return false;
  }
  if (pid == 0) {
    ::_exit(act() ? 0 : errno);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
  return errno == 0;
}

bool made(int fd) { return fd >= 0 && ::close(fd) == 0; }

bool opens(const char* path) { return made(::open(path, O_RDONLY)); }

bool loads_bpf() {
  const std::array<std::uint64_t, 2> code = {0x00000000000000b7, 0x0000000000000095};  // r0 = 0; exit
  union bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<std::uint64_t>(code.data());
  attributes.insn_cnt = 2;
  attributes.license = reinterpret_cast<std::uint64_t>("GPL");
  return ::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes) >= 0;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

/// A socket of the process: of the worker's the listener, which it holds from its monitor; else one of our own.
int some_socket() {
  for (int fd = 3; fd < 64; ++fd) {
    int value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value == 1) {
      return fd;
    }
  }
  return ::socket(AF_INET, SOCK_STREAM, 0);
}

bool connects() {
  const sockaddr_in at = loopback(9);
  return ::connect(some_socket(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 || errno == ECONNREFUSED ||
         errno == EISCONN;
}

bool connects_by_sending() {
  const sockaddr_in at = loopback(9);
  return ::sendto(some_socket(), "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&at),
                  sizeof at) == 1 ||
         errno == ECONNREFUSED || errno == EINPROGRESS || errno == EPIPE;
}

bool makes_code() {
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page != MAP_FAILED;
}

const std::array kAttempts = {
    Attempt{"open", [] { return opens("/etc/passwd"); }},
    Attempt{"open-own-root", [] { return opens("/"); }},
    Attempt{"create", [] { return made(::open("/attacker", O_CREAT | O_WRONLY, 0600)) && ::unlink("/attacker") == 0; }},
    Attempt{"stat",
            [] {
              struct stat info{};
              return ::stat("/etc/passwd", &info) == 0;
            }},
    Attempt{"exec",
            [] {
              return in_child([] {
                ::execl("/bin/true", "true", nullptr);
                return false;
              });
            }},
    Attempt{"exec-here",
            [] {
              // Where even a child cannot be made: the call itself. The control has just done it in a child.
              std::array<char*, 1> none = {nullptr};
              return ::syscall(SYS_execve, "/nowhere", none.data(), none.data()) == 0 || errno == ENOENT;
            }},
    Attempt{"fork", [] { return in_child([] { return true; }); }},
    Attempt{"clone",
            [] {
              const long child = ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
              if (child == 0) {
                ::_exit(0);
              }
              return child > 0;
            }},
    Attempt{"socket", [] { return made(::socket(AF_INET, SOCK_STREAM, 0)); }},
    Attempt{"socket-unix", [] { return made(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    Attempt{"socket-packet", [] { return made(::socket(AF_PACKET, SOCK_RAW, 0)); }},
    Attempt{"socketpair",
            [] {
              std::array<int, 2> ends{};
              return ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0;
            }},
    Attempt{"connect", connects},
    Attempt{"connect-by-sending", connects_by_sending},
    Attempt{"bind",
            [] {
              const sockaddr_in at = loopback(0);
              return ::bind(::socket(AF_INET, SOCK_STREAM, 0), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
            }},
    Attempt{"setsockopt",
            [] {
              const int one = 1;
              return ::setsockopt(some_socket(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0;
            }},
    Attempt{"ptrace-parent",
            [] {
              const pid_t parent = ::getppid();
              return ::ptrace(PTRACE_SEIZE, parent, nullptr, nullptr) == 0 &&
                     (::ptrace(PTRACE_DETACH, parent, nullptr, nullptr), true);
            }},
    Attempt{"process-vm-readv",
            [] {
              std::array<char, 8> to{};
              iovec mine{.iov_base = to.data(), .iov_len = to.size()};
              iovec theirs{.iov_base = const_cast<char*>("target"), .iov_len = 6};
              return ::process_vm_readv(::getpid(), &mine, 1, &theirs, 1, 0) > 0;
            }},
    Attempt{"bpf", loads_bpf},
    Attempt{"kill-parent", [] { return ::kill(::getppid(), 0) == 0; }},
    Attempt{"kill-all", [] { return ::kill(-1, 0) == 0; }},
    Attempt{"tgkill", [] { return ::syscall(SYS_tgkill, ::getpid(), ::getpid(), 0) == 0; }},
    Attempt{"mount",
            [] {
              return in_child(
                  [] { return ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/mnt", "tmpfs", 0, nullptr) == 0; });
            }},
    Attempt{"unshare-user", [] { return in_child([] { return ::unshare(CLONE_NEWUSER) == 0; }); }},
    Attempt{"unshare-here", [] { return ::unshare(CLONE_FILES) == 0; }},
    Attempt{"setuid", [] { return ::syscall(SYS_setresuid, 0, 0, 0) == 0; }},
    Attempt{"chroot", [] { return in_child([] { return ::chroot("/proc") == 0; }); }},
    Attempt{"dumpable", [] { return ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0; }},
    Attempt{"outlive-parent", [] { return ::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) == 0; }},
    Attempt{"memfd", [] { return made(::memfd_create("x", 0)); }},
    Attempt{"writable-code", makes_code},
    Attempt{"io-uring",
            [] {
              std::array<std::uint8_t, 256> parameters{};
              return ::syscall(SYS_io_uring_setup, 4, parameters.data()) >= 0;
            }},
    Attempt{"ioctl",
            [] {
              int bytes = 0;
              return ::syscall(SYS_ioctl, some_socket(), 0x541B /* FIONREAD */, &bytes) == 0 || errno == EINVAL;
            }},
};

void tell(const std::string& name, const std::string& how) {
  const std::string line = "attack " + name + ": " + how + "\n";
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

void attack() {
  for (const Attempt& attempt : kAttempts) {
    errno = 0;
    const bool done = attempt.act();
    tell(attempt.name, done ? "done" : ::strerrorname_np(errno));
  }
  for (const auto& [name, how] : msp::worker_test::sweep()) {
    tell(name, how);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (!msp::worker_test::hold()) {
    std::perror("the system calls of a sweep cannot be held back");
    return 2;
  }
  if (argc == 2 && std::string_view(argv[1]) == "--free") {
    attack();
    return 0;
  }
  return msp::worker::run(attack);
}
