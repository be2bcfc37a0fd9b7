// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/fd.h"
#include "base/process.h"
#include "worker/confine.h"

namespace msp::worker {
namespace {

/// A directory that has no name any more: nothing is in it, and nothing can be made in it.
Result<void> enter_empty_root() {
  for (const char* parent : {"/tmp", "/run"}) {
    const Fd above(::open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::string name = std::string(parent) + "/msp-worker-XXXXXX";
    if (!above || ::mkdtemp(name.data()) == nullptr) {
      continue;
    }
    const bool entered = ::chdir(name.c_str()) == 0 && ::chroot(".") == 0;
    const int code = errno;
    if (::unlinkat(above.get(), name.substr(std::string_view(parent).size() + 1).c_str(), AT_REMOVEDIR) != 0) {
      return errno_error("cannot remove the empty root");
    }
    return entered ? Result<void>() : errno_error("chroot", code);
  }
  return errno_error("cannot make an empty root in /tmp or /run");
}

Result<void> drop_capabilities() {
  for (int one = 0; ::prctl(PR_CAPBSET_READ, one, 0, 0, 0) >= 0; ++one) {
    // Without CAP_SETPCAP it stays: it bounds what an exec could give, and there is none, nor one that gives.
    (void)::prctl(PR_CAPBSET_DROP, one, 0, 0, 0);
  }
  return {};
}

Result<void> check_no_capability() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) {
    return errno_error("capget");
  }
  for (const auto& set : sets) {
    if ((set.effective | set.permitted | set.inheritable) != 0) {
      return bug("the worker still has capabilities");
    }
  }
  return {};
}

}  // namespace

Result<void> become(std::uint32_t uid, std::uint32_t gid) {
  if (uid == 0 || gid == 0) {
    return bug("the worker must not be root");
  }
  if (auto done = enter_empty_root(); !done) {
    return done;
  }
  if (auto done = drop_capabilities(); !done) {
    return done;
  }
  if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0) {
    return errno_error("cannot become the worker's user");
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return errno_error("no_new_privs");
  }
  // A change of user takes it back, so it comes after that. Whoever died before is seen by the end of the link.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    return errno_error("pdeathsig");
  }
  if (auto done = harden_process(); !done) {
    return done;
  }
  return check_no_capability();
}

}  // namespace msp::worker
