// SPDX-License-Identifier: Apache-2.0
// The system calls of a worker that serves. Whoever makes the data path do more sees EPERM in the tests, and adds it
// here with a reason, or lets the monitor do it.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <initializer_list>
#include <vector>

#include "worker/confine.h"

namespace msp::worker {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "which architecture is this for seccomp?"
#endif

constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

/// Whatever their arguments. No path, no address and no process can be named by any of them.
constexpr std::initializer_list<int> kAllowed = {
    // Connections: what is there is read, written, accepted, closed. None is made, connected, bound or set up.
    SYS_accept4, SYS_recvfrom, SYS_recvmsg, SYS_getsockopt, SYS_shutdown, SYS_close, SYS_read, SYS_write,
    // Waiting.
    SYS_epoll_ctl, SYS_epoll_pwait, SYS_futex, SYS_restart_syscall, SYS_sched_yield, SYS_clock_nanosleep,
#if defined(SYS_epoll_wait)
    SYS_epoll_wait,
#endif
    // Memory; long messages of the monitor are read from files.
    SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_mlock, SYS_munlock, SYS_pread64,
    // Time where the vDSO does not tell it, random numbers.
    SYS_clock_gettime, SYS_gettimeofday, SYS_getrandom,
    // The end.
    SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_getpid, SYS_gettid};

class Program {
 public:
  Program() {
    load(offsetof(seccomp_data, arch));
    // Of another architecture's calls even the numbers mean something else.
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    load(offsetof(seccomp_data, nr));
  }
  void allow(int call) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  /// Only with none of `bits` in that argument (its lower half is all that the kernel takes of an int), and with the
  /// argument `zero`, if there is one, all zero.
  void allow_without(int call, int argument, std::uint32_t bits, int zero = -1) {
    const std::uint8_t length = zero < 0 ? 4 : 8;
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, length));
    if (zero >= 0) {
      load(lower_half(zero));
      add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 5));
      load(lower_half(zero) + 4);
      add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3));
    }
    load(lower_half(argument));
    add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    add(BPF_STMT(BPF_RET | BPF_K, kRefuse));
  }
  /// Only that option of a socket.
  void allow_option(std::uint32_t level, std::uint32_t name) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 6));
    load(lower_half(1));
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, level, 0, 3));
    load(lower_half(2));
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, name, 0, 1));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    add(BPF_STMT(BPF_RET | BPF_K, kRefuse));
  }
  Result<void> install() {
    add(BPF_STMT(BPF_RET | BPF_K, kRefuse));
    const sock_fprog program{.len = static_cast<unsigned short>(code_.size()), .filter = code_.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
      return errno_error("seccomp");
    }
    return {};
  }

 private:
  /// Both architectures are little-endian.
  static std::uint32_t lower_half(int argument) {
    return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + sizeof(std::uint64_t) * argument);
  }
  void load(std::uint32_t offset) { add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)); }
  void add(sock_filter one) { code_.push_back(one); }
  std::vector<sock_filter> code_;
};

}  // namespace

Result<void> allow_serving_only() {
  Program program;
  // First, since the kernel remembers what it may always allow, and of these it must look at the arguments each time:
  // MSG_FASTOPEN connects, and an address says where to.
  constexpr auto kOtherFlags = ~static_cast<std::uint32_t>(MSG_NOSIGNAL | MSG_DONTWAIT);
  program.allow_without(SYS_sendto, 3, kOtherFlags, 4);
  program.allow_without(SYS_sendmsg, 2, kOtherFlags);
  for (const int call : kAllowed) {
    program.allow(call);
  }
  // A connection whose answer was cut ends in a reset.
  program.allow_option(SOL_SOCKET, SO_LINGER);
  // Nothing becomes code that was not there.
  program.allow_without(SYS_mmap, 2, PROT_EXEC);
  program.allow_without(SYS_mprotect, 2, PROT_EXEC);
  return program.install();
}

}  // namespace msp::worker
