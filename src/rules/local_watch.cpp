// SPDX-License-Identifier: Apache-2.0
#include "rules/local_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace msp::rules {
namespace {

/// Whatever may change what a reader of the directory finds: content, names, and who may write.
constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |
                                   IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

}  // namespace

Result<std::unique_ptr<LocalWatch>> LocalWatch::start(Loop& loop, std::string directory,
                                                      std::function<void()> changed) {
  Fd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify) {
    Error error = errno_error("cannot watch the directory of local rule files");
    error.hint = "the files are read at every poll all the same; raise fs.inotify.max_user_instances";
    return error;
  }
  auto watch = std::make_unique<LocalWatch>(loop, std::move(inotify), std::move(directory), std::move(changed));
  if (auto done = watch->watch_.start(); !done) {
    return std::move(done).error();
  }
  (void)watch->look_again();
  watch->task_.emplace(watch->gather());
  return watch;
}

LocalWatch::LocalWatch(Loop& loop, Fd inotify, std::string directory, std::function<void()> changed)
    : loop_(loop),
      inotify_(std::move(inotify)),
      directory_(std::move(directory)),
      changed_(std::move(changed)),
      wake_(loop),
      watch_(loop, inotify_.get(), [this](std::uint32_t) { on_events(); }) {}

bool LocalWatch::look_again() {
  // The same directory has the same number: then nothing has happened.
  const int found = ::inotify_add_watch(inotify_.get(), directory_.c_str(), kChanges);
  if (found == watched_) {
    return false;
  }
  if (watched_ >= 0) {
    ::inotify_rm_watch(inotify_.get(), std::exchange(watched_, -1));
  }
  watched_ = found;
  return true;
}

void LocalWatch::on_events() {
  alignas(inotify_event) std::array<char, 4096> events;
  for (;;) {
    const ssize_t size = ::read(inotify_.get(), events.data(), events.size());
    if (size <= 0) {
      break;
    }
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      inotify_event event{};
      std::memcpy(&event, events.data() + at, sizeof event);
      at += sizeof event + event.len;
      if (event.wd == watched_ && (event.mask & IN_IGNORED) != 0) {
        watched_ = -1;
      }
    }
  }
  pending_ = true;
  wake_.announce();
}

Task<void> LocalWatch::gather() {
  for (;;) {
    if (!pending_) {
      co_await wake_.wait(kNoDeadline);
    }
    co_await loop_.sleep_until(loop_.after_ms(kGatherMs));
    pending_ = false;
    (void)look_again();
    changed_();
  }
}

}  // namespace msp::rules
