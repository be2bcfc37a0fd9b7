// SPDX-License-Identifier: Apache-2.0
#include "agent/listener_keeper.h"

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "base/kept_listener.h"
#include "base/log.h"
#include "identity/source.h"
#include "intercept/self_check.h"

namespace msp::agent {
namespace {

constexpr int kBacklog = 4096;
constexpr int kBarrierMs = 1'000;
constexpr std::uint64_t kAgainMs = 200;
// The worker of a monitor that was killed has the listener as well, and ends a moment after it.
constexpr std::chrono::milliseconds kPredecessor{2'000};
constexpr std::chrono::milliseconds kBetweenTries{10};

void only_log(const Result<void>& done, std::string_view what) {
  if (!done) {
    log::warn("{}: {}", what, done.error().text());
  }
}

}  // namespace

Result<void> ListenerKeeper::open() {
  auto cookie = own_netns_cookie();
  if (!cookie) {
    return std::move(cookie).error();
  }
  name_ = listener_name(*cookie);
  if (auto old = kept(*cookie)) {
    listener_ = std::move(*old);
    auto proven = prove();
    if (proven) {
      adopted_ = true;
      return {};
    }
    log::warn("the listener of an earlier run is given up: {}", proven.error().text());
    only_log(manager_.forget(name_), "the listener's old descriptor");
    // Its queue goes with the last descriptor; two listeners would not share one address.
    listener_.reset();
    only_log(manager_.barrier(kBarrierMs), "the listener's old descriptor");
  }
  auto made = bind();
  const auto until = std::chrono::steady_clock::now() + kPredecessor;
  while (!made && made.error().code == EADDRINUSE && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(kBetweenTries);
    made = bind();
  }
  if (!made) {
    return std::move(made).error();
  }
  listener_ = std::move(*made);
  return prove();
}

Result<void> ListenerKeeper::prove() {
  identity::SocketIdentitySource source;
  auto strangers = intercept::self_check(listener_, at_, source);
  if (!strangers) {
    return std::move(strangers).error().context("the hooks do not identify callers");
  }
  strangers_ = std::move(*strangers);
  return {};
}

/// The one of this network namespace; whatever else was kept is of no use to anybody any more.
std::optional<Fd> ListenerKeeper::kept(std::uint64_t cookie) {
  std::optional<Fd> out;
  for (auto& [name, fd] : manager_.take_stored()) {
    if (name == name_ && !out) {
      auto good = check_listener(fd.get(), at_, cookie);
      // Marked once more: the hooks may have been uninstalled, and their marks with them.
      if (good) {
        good = hooks_.mark_own(fd.get());
      }
      if (good) {
        out = std::move(fd);
        continue;
      }
      log::warn("the listener of an earlier run is not taken over: {}", good.error().text());
    }
    only_log(manager_.forget(name), "a descriptor of an earlier run");
  }
  return out;
}

Result<Fd> ListenerKeeper::bind() {
  auto made = hooks_.open_listener(at_, kBacklog);
  if (!made) {
    return made;
  }
  // Serving without it is only less good: a restart then refuses for a moment.
  only_log(manager_.store(name_, *made), "the listener will not outlive this agent");
  only_log(manager_.barrier(kBarrierMs), "the listener may not outlive this agent");
  return made;
}

Result<void> ListenerKeeper::serve(DataLink& data) {
  for (Fd& stranger : strangers_) {
    data.adopt(std::move(stranger));
  }
  strangers_.clear();
  return hand_over(data);
}

Result<void> ListenerKeeper::hand_over(DataLink& data) {
  return data.listen(std::move(listener_),
                     [this, &data] { loop_.post([this, &data] { binding_.emplace(bind_again(data)); }); });
}

Task<> ListenerKeeper::bind_again(DataLink& data) {
  log::error("the listener on {} has died: somebody who holds it has shut it down; bound again", to_string(at_));
  for (;;) {
    auto made = bind();
    if (made) {
      listener_ = std::move(*made);
      auto done = hand_over(data);
      if (done) {
        co_return;
      }
      made = std::move(done).error();
    }
    log::write(made.error());
    co_await loop_.sleep_until(loop_.after_ms(kAgainMs));
  }
}

}  // namespace msp::agent
