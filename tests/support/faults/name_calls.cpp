// SPDX-License-Identifier: Apache-2.0
// The calls of libc that are stood before: those on names and on directories (see calls.cpp).
#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "tests/support/faults/layer.h"
#include "tests/support/faults/next.h"

using msp::faults::Call;
using msp::faults::Event;
using msp::faults::Layer;
using msp::faults::Operation;

namespace {

template <class F>
int do_stat(const char* path, F call) {
  const Operation operation(Call::kStat, "stat", AT_FDCWD, path);
  return operation.fails() ? -1 : call();
}

template <class F>
int do_name(Call kind, const char* name, int at, const char* path, Event::Kind event, mode_t mode, F call) {
  const Operation operation(kind, name, at, path);
  if (operation.fails()) {
    return -1;
  }
  const int done = call();
  if (done == 0 && operation.watched()) {
    operation.note({.kind = event, .mode = mode, .path = operation.relative(), .text = {}});
  }
  return done;
}

template <class F>
int do_rename(int from_at, const char* from, int to_at, const char* to, F call) {
  const Operation operation(Call::kRename, "rename", from_at, from);
  if (operation.fails()) {
    return -1;
  }
  const int done = call();
  if (done == 0 && operation.watched()) {
    Layer& layer = Layer::get();
    operation.note(
        {.kind = Event::Kind::kRename, .path = operation.relative(), .text = layer.relative(layer.path_of(to_at, to))});
  }
  return done;
}

}  // namespace

extern "C" {

MSP_FAULTS_API int rename(const char* from, const char* to) noexcept {
  return do_rename(AT_FDCWD, from, AT_FDCWD, to, [&] { return MSP_NEXT(rename)(from, to); });
}

MSP_FAULTS_API int renameat(int from_at, const char* from, int to_at, const char* to) noexcept {
  return do_rename(from_at, from, to_at, to, [&] { return MSP_NEXT(renameat)(from_at, from, to_at, to); });
}

MSP_FAULTS_API int unlink(const char* path) noexcept {
  return do_name(Call::kUnlink, "unlink", AT_FDCWD, path, Event::Kind::kUnlink, 0,
                 [&] { return MSP_NEXT(unlink)(path); });
}

MSP_FAULTS_API int unlinkat(int at, const char* path, int flags) noexcept {
  return do_name(Call::kUnlink, "unlink", at, path, Event::Kind::kUnlink, 0,
                 [&] { return MSP_NEXT(unlinkat)(at, path, flags); });
}

MSP_FAULTS_API int mkdir(const char* path, mode_t mode) noexcept {
  return do_name(Call::kMkdir, "mkdir", AT_FDCWD, path, Event::Kind::kMkdir, mode,
                 [&] { return MSP_NEXT(mkdir)(path, mode); });
}

MSP_FAULTS_API int stat(const char* path, struct stat* out) noexcept {
  return do_stat(path, [&] { return MSP_NEXT(stat)(path, out); });
}

MSP_FAULTS_API int stat64(const char* path, struct stat64* out) noexcept {
  return do_stat(path, [&] { return MSP_NEXT(stat64)(path, out); });
}

MSP_FAULTS_API int lstat(const char* path, struct stat* out) noexcept {
  return do_stat(path, [&] { return MSP_NEXT(lstat)(path, out); });
}

MSP_FAULTS_API int lstat64(const char* path, struct stat64* out) noexcept {
  return do_stat(path, [&] { return MSP_NEXT(lstat64)(path, out); });
}

MSP_FAULTS_API int access(const char* path, int how) noexcept {
  return do_stat(path, [&] { return MSP_NEXT(access)(path, how); });
}

MSP_FAULTS_API DIR* fdopendir(int fd) {
  const Operation operation(Call::kList, "opendir", fd);
  return operation.fails() ? nullptr : MSP_NEXT(fdopendir)(fd);
}

MSP_FAULTS_API dirent* readdir(DIR* directory) {
  const Operation operation(Call::kList, "readdir", ::dirfd(directory));
  return operation.fails() ? nullptr : MSP_NEXT(readdir)(directory);
}

MSP_FAULTS_API dirent64* readdir64(DIR* directory) {
  const Operation operation(Call::kList, "readdir", ::dirfd(directory));
  return operation.fails() ? nullptr : MSP_NEXT(readdir64)(directory);
}

MSP_FAULTS_API int closedir(DIR* directory) {
  const int fd = ::dirfd(directory);
  const Operation operation(Call::kClose, "close", fd);
  if (operation.watched()) {
    operation.note({.kind = Event::Kind::kClose, .fd = fd, .path = {}, .text = {}});
    Layer::get().closed(fd);
  }
  const int done = MSP_NEXT(closedir)(directory);
  return operation.fails() ? -1 : done;
}

MSP_FAULTS_API int inotify_add_watch(int fd, const char* path, uint32_t mask) noexcept {
  const Operation operation(Call::kNotify, "inotify_add_watch", AT_FDCWD, path);
  return operation.fails() ? -1 : MSP_NEXT(inotify_add_watch)(fd, path, mask);
}

}  // extern "C"
