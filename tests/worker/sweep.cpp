// SPDX-License-Identifier: Apache-2.0
#include "sweep.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>

namespace msp::worker_test {
namespace {

using Arguments = std::array<std::uint64_t, 5>;
using Values = std::vector<std::uint64_t>;

/// In the sixth argument: the call is of a sweep. It is none of a sendto, an mmap or a futex that is meant.
constexpr std::uint32_t kMark = 0x6d737073;

/// Above the last number there is, with room for those to come.
constexpr long kNumbers = 600;
constexpr long kX32 = 0x40000000;  ///< the same kernel, the same architecture for a filter, other numbers

/// What a worker that serves may call whatever the arguments. Written here a second time on purpose, and not taken from
/// src/: whoever allows one more there, or one less, says it here too.
constexpr std::array kFree = {
    SYS_accept4,    SYS_recvfrom,      SYS_recvmsg,      SYS_getsockopt,  SYS_shutdown,        SYS_close,
    SYS_read,       SYS_write,         SYS_pread64,      SYS_epoll_ctl,   SYS_epoll_pwait,     SYS_futex,
    SYS_munmap,     SYS_mremap,        SYS_madvise,      SYS_brk,         SYS_mlock,           SYS_munlock,
    SYS_getrandom,  SYS_clock_gettime, SYS_gettimeofday, SYS_sched_yield, SYS_rt_sigreturn,    SYS_rt_sigprocmask,
    SYS_exit_group, SYS_exit,          SYS_getpid,       SYS_gettid,      SYS_clock_nanosleep, SYS_restart_syscall,
#if defined(SYS_epoll_wait)
    SYS_epoll_wait,
#endif
};

/// What it may call with some arguments: sweeps of their own.
constexpr std::array kByArgument = {SYS_sendto, SYS_sendmsg, SYS_setsockopt, SYS_mmap, SYS_mprotect};

/// No filter is asked about them: they are for the kernel's own code in a process that is probed, and made by another
/// they end it (uretprobe) or fail (uprobe). Not tried either: calls by int 0x80, for which a filter ends the process.
bool past_every_filter([[maybe_unused]] long number) {
#if defined(__x86_64__)
  return number == 335 || number == 336;
#else
  return false;
#endif
}

bool has(const auto& list, long number) { return std::ranges::find(list, number) != list.end(); }

/// The error of the call, 0 where it was made.
int answer(long number, const Arguments& with) {
  const long result = ::syscall(number, with[0], with[1], with[2], with[3], with[4], static_cast<std::uint64_t>(kMark));
  const int code = result == -1 ? errno : 0;
  // The mark would stay in its register, and be the sixth argument of a call that has fewer.
  (void)::syscall(SYS_getpid, 0L, 0L, 0L, 0L, 0L, 0L);
  return code;
}

bool passes(long number, const Arguments& with) { return answer(number, with) != EPERM; }

Values up_to(std::uint64_t first, std::uint64_t last) {
  Values values;
  for (std::uint64_t one = first; one <= last; ++one) {
    values.push_back(one);
  }
  return values;
}

Values bits(unsigned count, std::uint64_t with = 0) {
  Values values;
  for (unsigned bit = 0; bit < count; ++bit) {
    values.push_back(with | std::uint64_t{1} << bit);
  }
  return values;
}

Values both(Values one, const Values& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

/// Each value in each argument, the others zero; and all ones. That a filter allows a call only with a certain
/// combination, is for kSpelled.
bool passes_somehow(long number) {
  static const Values kValues = both(up_to(0, 15), bits(32));
  if (passes(number, {~0UL, ~0UL, ~0UL, ~0UL, ~0UL})) {
    return true;
  }
  for (std::size_t at = 0; at < Arguments{}.size(); ++at) {
    for (const std::uint64_t value : kValues) {
      Arguments with{};
      with[at] = value;
      if (passes(number, with)) {
        return true;
      }
    }
  }
  return false;
}

/// Each combination of the values for each argument; those without values are zero.
struct Spelled {
  std::string name;
  long number;
  std::vector<Values> choices;
};

std::vector<Spelled> spelled() {
  const auto own = static_cast<std::uint64_t>(::getpid());
  const auto here = static_cast<std::uint64_t>(AT_FDCWD);
  const Values files = up_to(0, 8);
  const Values families = up_to(0, 46);
  const Values types = both(up_to(0, 10), {SOCK_STREAM | SOCK_CLOEXEC, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK});
  const Values protections = both(up_to(0, 7), bits(32));
  Values code;
  std::ranges::transform(protections, std::back_inserter(code), [](auto one) { return one | PROT_EXEC; });
  Values flags = bits(32);
  std::erase_if(flags, [](auto one) { return one == MSG_NOSIGNAL || one == MSG_DONTWAIT; });
  flags = both(flags, {MSG_FASTOPEN | MSG_NOSIGNAL, MSG_FASTOPEN | MSG_NOSIGNAL | MSG_DONTWAIT, ~0UL});
  Values options = both(up_to(0, 80), both(bits(32), {~0UL}));
  std::erase(options, SO_LINGER);
  const Values calm = {0, MSG_NOSIGNAL, MSG_DONTWAIT, MSG_NOSIGNAL | MSG_DONTWAIT};
  return {
      {"sendto-flags", SYS_sendto, {files, {0, 4096}, {1}, flags}},
      {"sendto-address", SYS_sendto, {files, {0, 4096}, {1}, calm, both(bits(64), {~0UL})}},
      {"sendmsg-flags", SYS_sendmsg, {files, {0, 4096}, flags}},
      {"mmap-code",
       SYS_mmap,
       {{0, 4096}, {4096}, code, {MAP_PRIVATE, MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED}, {3, ~0UL}}},
      {"mprotect-code", SYS_mprotect, {{0, 4096}, {4096}, code}},
      {"socket-any", SYS_socket, {families, types, {0, 6, 17}}},
      {"socketpair-any", SYS_socketpair, {families, types}},
      {"setsockopt-any", SYS_setsockopt, {files, {0, 6, 17, 41}, up_to(0, 80), {4096}, {4, 8}}},
      {"setsockopt-socket", SYS_setsockopt, {files, {SOL_SOCKET}, options, {4096}, {4, 8}}},
      {"fcntl-any", SYS_fcntl, {files, both(up_to(0, 40), up_to(1024, 1050)), {0, O_NONBLOCK}}},
      {"prctl-any", SYS_prctl, {up_to(0, 80), {0, 1}}},
      {"ioctl-any", SYS_ioctl, {files, both(up_to(0x5401, 0x5460), up_to(0x8901, 0x89ff)), {0, 4096}}},
      {"prlimit-any", SYS_prlimit64, {{0, own}, up_to(0, 16), {0, 4096}, {0, 4096}}},
      {"openat-any", SYS_openat, {both(files, {here}), {4096}, both(bits(24), {0, O_RDONLY | O_CLOEXEC})}},
      {"kill-any", SYS_kill, {{own}, up_to(0, 64)}},
      {"tgkill-any", SYS_tgkill, {{own}, {own}, up_to(0, 64)}},
      {"clone-any", SYS_clone, {both(bits(32, SIGCHLD), {CLONE_VM | CLONE_VFORK | SIGCHLD, 0x3d0f00 /* a thread */})}},
  };
}

/// The name of each case, and whether it got through.
using Cases = std::vector<std::pair<std::string, bool>>;

void combine(const Spelled& what, std::size_t at, Arguments& with, Cases& cases) {
  if (at == what.choices.size()) {
    std::string name = what.name;
    for (std::size_t i = 0; i < at; ++i) {
      name += '-' + std::to_string(with[i]);
    }
    cases.emplace_back(std::move(name), passes(what.number, with));
    return;
  }
  for (const std::uint64_t value : what.choices[at]) {
    with[at] = value;
    combine(what, at + 1, with, cases);
  }
}

/// Of those that get through, the first tell enough: who reads them reads a log with a bound.
void tell(std::string name, const Cases& cases, std::vector<Swept>& said) {
  constexpr std::ptrdiff_t kMostNames = 20;
  const auto through = std::ranges::count_if(cases, &Cases::value_type::second);
  const bool all = through == std::ssize(cases);
  said.push_back({.name = std::move(name), .how = through == 0 ? "EPERM" : all ? "done" : "some"});
  std::ptrdiff_t named = 0;
  for (const auto& [one, got_through] : cases) {
    if (!all && got_through && named++ < kMostNames) {
      said.push_back({.name = one, .how = "done"});
    }
  }
}

Cases other_calls(long bit) {
  Cases cases;
  for (long number = 0; number < kNumbers; ++number) {
    const bool expected = has(kFree, number) || has(kByArgument, number) || past_every_filter(number);
    if (bit != 0 || !expected) {
      cases.emplace_back("call-" + std::to_string(number | bit), passes_somehow(number | bit));
    }
  }
  return cases;
}

}  // namespace

bool hold() {
  // A refusal is stronger than a tracer's wish, and where there is no tracer that is ENOSYS.
  constexpr auto kSixth = static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 5 * sizeof(std::uint64_t));
  std::array<sock_filter, 4> code = {
      {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kSixth), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMark, 0, 1),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program{.len = code.size(), .filter = code.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    return false;
  }
  return answer(SYS_getpid, {}) == ENOSYS;
}

std::vector<Swept> sweep() {
  std::vector<Swept> said;
  tell("other-calls", other_calls(0), said);
  tell("other-calls-x32", other_calls(kX32), said);
  for (const Spelled& what : spelled()) {
    Cases cases;
    Arguments with{};
    combine(what, 0, with, cases);
    tell(what.name, cases, said);
  }
  for (const long number : kFree) {
    if (!passes(number, {})) {
      said.push_back({.name = "listed-call-" + std::to_string(number), .how = "EPERM"});
    }
  }
  return said;
}

}  // namespace msp::worker_test
