// SPDX-License-Identifier: Apache-2.0
// The calls of libc that are stood before: those on one descriptor, and the opening of one. Names, types and exception
// specifications are those of libc's headers. Built without _FORTIFY_SOURCE, whose inline bodies bear the same names.
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>

#include "tests/support/faults/layer.h"
#include "tests/support/faults/next.h"

using msp::faults::Call;
using msp::faults::Event;
using msp::faults::Layer;
using msp::faults::Operation;

namespace {

/// Opens by `open`, which takes nothing; the descriptor is watched from now on.
template <class F>
int do_open(const char* name, int at, const char* path, int flags, mode_t mode, F open) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
  const Operation operation(writes ? Call::kCreate : Call::kOpen, name, at, path);
  if (operation.fails()) {
    return -1;
  }
  const int fd = open();
  if (fd >= 0 && operation.watched()) {
    Layer::get().opened(fd, operation.path());
    operation.note({.kind = Event::Kind::kOpen,
                    .fd = fd,
                    .number = flags,
                    .mode = mode,
                    .path = operation.relative(),
                    .text = {}});
  }
  return fd;
}

/// Whether a call by number has a sixth argument; of a futex its operation says so.
bool has_six_arguments(long number, long second) {
  constexpr std::array kSix = {SYS_mmap,       SYS_splice,           SYS_sendto,           SYS_recvfrom,
                               SYS_preadv2,    SYS_pwritev2,         SYS_copy_file_range,  SYS_epoll_pwait,
                               SYS_pselect6,   SYS_io_uring_enter,   SYS_io_pgetevents,    SYS_mbind,
                               SYS_move_pages, SYS_process_vm_readv, SYS_process_vm_writev};
  constexpr std::array kSixOfFutex = {FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET,    FUTEX_CMP_REQUEUE,
                                      FUTEX_WAKE_OP,     FUTEX_CMP_REQUEUE_PI, FUTEX_WAIT_REQUEUE_PI};
  return number == SYS_futex ? std::ranges::find(kSixOfFutex, second & FUTEX_CMD_MASK) != kSixOfFutex.end()
                             : std::ranges::find(kSix, number) != kSix.end();
}

mode_t mode_argument(int flags, va_list list) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}

/// `move` takes the number of bytes.
template <class F>
ssize_t do_read(const char* name, int fd, std::size_t size, F move) {
  const Operation operation(Call::kRead, name, fd);
  return operation.fails() ? -1 : move(operation.cut(size));
}

/// `place`: -1 where the descriptor stands.
template <class F>
ssize_t do_write(const char* name, int fd, const void* data, std::size_t size, std::int64_t place, F move) {
  const Operation operation(Call::kWrite, name, fd);
  if (operation.fails()) {
    return -1;
  }
  if (operation.takes_nothing()) {
    return 0;
  }
  const ssize_t done = move(operation.cut(size));
  if (done > 0 && operation.watched()) {
    operation.note({.kind = Event::Kind::kWrite,
                    .fd = fd,
                    .number = place,
                    .path = {},
                    .text = std::string(static_cast<const char*>(data), static_cast<std::size_t>(done))});
  }
  return done;
}

/// A call on a descriptor that gives 0 or -1; `event` is what it has done then.
template <class F>
int do_plain(Call kind, const char* name, int fd, F call, Event::Kind event, std::int64_t number = 0, mode_t mode = 0) {
  const Operation operation(kind, name, fd);
  if (operation.fails()) {
    return -1;
  }
  const int done = call();
  if (done == 0) {
    operation.note({.kind = event, .fd = fd, .number = number, .mode = mode, .path = {}, .text = {}});
  }
  return done;
}

}  // namespace

extern "C" {

MSP_FAULTS_API int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_argument(flags, list);
  va_end(list);
  return do_open("open", AT_FDCWD, path, flags, mode, [&] { return MSP_NEXT(open)(path, flags, mode); });
}

MSP_FAULTS_API int open64(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_argument(flags, list);
  va_end(list);
  return do_open("open", AT_FDCWD, path, flags, mode, [&] { return MSP_NEXT(open64)(path, flags, mode); });
}

MSP_FAULTS_API int openat(int at, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_argument(flags, list);
  va_end(list);
  return do_open("open", at, path, flags, mode, [&] { return MSP_NEXT(openat)(at, path, flags, mode); });
}

MSP_FAULTS_API int openat64(int at, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_argument(flags, list);
  va_end(list);
  return do_open("open", at, path, flags, mode, [&] { return MSP_NEXT(openat64)(at, path, flags, mode); });
}

// Without a wrapper in libc 2.36: openat2. Everything else passes. Five arguments are in registers, passed or not; the
// sixth is on the caller's stack (x86-64), where a call that has none has something of its caller's.
MSP_FAULTS_API long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  const long a = va_arg(list, long);
  const long b = va_arg(list, long);
  const long c = va_arg(list, long);
  const long d = va_arg(list, long);
  const long e = va_arg(list, long);
  const long f = has_six_arguments(number, b) ? va_arg(list, long) : 0;
  va_end(list);
  if (number != SYS_openat2) {
    return MSP_NEXT(syscall)(number, a, b, c, d, e, f);
  }
  const auto* path = reinterpret_cast<const char*>(b);
  const auto* how = reinterpret_cast<const open_how*>(c);
  return do_open("open", static_cast<int>(a), path, static_cast<int>(how->flags), static_cast<mode_t>(how->mode),
                 [&] { return static_cast<int>(MSP_NEXT(syscall)(number, a, b, c, d, e, f)); });
}

MSP_FAULTS_API int close(int fd) {
  const Operation operation(Call::kClose, "close", fd);
  if (operation.watched()) {
    operation.note({.kind = Event::Kind::kClose, .fd = fd, .path = {}, .text = {}});
    Layer::get().closed(fd);
  }
  // The kernel closes even where it reports an error.
  const int done = MSP_NEXT(close)(fd);
  return operation.fails() ? -1 : done;
}

MSP_FAULTS_API ssize_t read(int fd, void* data, size_t size) {
  return do_read("read", fd, size, [&](size_t some) { return MSP_NEXT(read)(fd, data, some); });
}

MSP_FAULTS_API ssize_t pread(int fd, void* data, size_t size, off_t at) {
  return do_read("read", fd, size, [&](size_t some) { return MSP_NEXT(pread)(fd, data, some, at); });
}

MSP_FAULTS_API ssize_t pread64(int fd, void* data, size_t size, off64_t at) {
  return do_read("read", fd, size, [&](size_t some) { return MSP_NEXT(pread64)(fd, data, some, at); });
}

MSP_FAULTS_API ssize_t write(int fd, const void* data, size_t size) {
  return do_write("write", fd, data, size, -1, [&](size_t some) { return MSP_NEXT(write)(fd, data, some); });
}

MSP_FAULTS_API ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  return do_write("write", fd, data, size, at, [&](size_t some) { return MSP_NEXT(pwrite)(fd, data, some, at); });
}

MSP_FAULTS_API ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  return do_write("write", fd, data, size, at, [&](size_t some) { return MSP_NEXT(pwrite64)(fd, data, some, at); });
}

MSP_FAULTS_API int fsync(int fd) {
  return do_plain(Call::kSync, "fsync", fd, [&] { return MSP_NEXT(fsync)(fd); }, Event::Kind::kSync);
}

MSP_FAULTS_API int fdatasync(int fd) {
  return do_plain(Call::kSync, "fsync", fd, [&] { return MSP_NEXT(fdatasync)(fd); }, Event::Kind::kSync);
}

MSP_FAULTS_API int ftruncate(int fd, off_t size) noexcept {
  return do_plain(
      Call::kTruncate, "truncate", fd, [&] { return MSP_NEXT(ftruncate)(fd, size); }, Event::Kind::kTruncate, size);
}

MSP_FAULTS_API int ftruncate64(int fd, off64_t size) noexcept {
  return do_plain(
      Call::kTruncate, "truncate", fd, [&] { return MSP_NEXT(ftruncate64)(fd, size); }, Event::Kind::kTruncate, size);
}

MSP_FAULTS_API int fchmod(int fd, mode_t mode) noexcept {
  return do_plain(Call::kChange, "chmod", fd, [&] { return MSP_NEXT(fchmod)(fd, mode); }, Event::Kind::kChmod, 0, mode);
}

MSP_FAULTS_API int fchown(int fd, uid_t user, gid_t group) noexcept {
  const Operation operation(Call::kChange, "chown", fd);
  return operation.fails() ? -1 : MSP_NEXT(fchown)(fd, user, group);
}

MSP_FAULTS_API int fstat(int fd, struct stat* out) noexcept {
  const Operation operation(Call::kStat, "stat", fd);
  return operation.fails() ? -1 : MSP_NEXT(fstat)(fd, out);
}

MSP_FAULTS_API int fstat64(int fd, struct stat64* out) noexcept {
  const Operation operation(Call::kStat, "stat", fd);
  return operation.fails() ? -1 : MSP_NEXT(fstat64)(fd, out);
}

}  // extern "C"
