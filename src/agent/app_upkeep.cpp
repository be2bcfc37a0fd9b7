// SPDX-License-Identifier: Apache-2.0
// What of App follows the machine rather than the host: local rule files, pins, what is on the disk, the time;
// and what a start that failed takes back.
#include <cerrno>
#include <filesystem>

#include "agent/app.h"
#include "base/file.h"
#include "base/log.h"
#include "intercept/interceptor.h"
#include "intercept/pins.h"

namespace msp::agent {
namespace {

// Until then a kill finds what somebody has taken away.
constexpr std::uint64_t kUpkeepMs = 2'000;

}  // namespace

/// A start that has failed, be it in the midst of attaching, leaves no hook that was not there before. Of a machine
/// that was latched they stay: it is closed from the first moment of a start, however that ends (protocol.md L.30).
void App::take_hooks_back() {
  std::string why;
  const channel::KeyStore keys(config_.latch_key_folder, config_.state_directory);
  if (!hooks_to_take_back_ || keys.ever_latched(why)) {
    return;
  }
  lock_ = Fd();  // they are removed as by anybody else
  if (auto gone = intercept::uninstall(config_.bpf_pin_directory); !gone) {
    log::write(std::move(gone).error().context("the hooks of this start stay"));
  }
}

/// Local rule files change without the host.
void App::follow_local_rules() {
  const auto before = rules_->current();
  if (state_->document) {
    rules_->apply(*state_->document);
  }
  if (rules_->current() != before) {
    install_gate();
    report();
  }
}

/// Without a watch the files are read at every poll, as the field's agent does: no reason not to start.
void App::watch_local_rules(const std::string& directory) {
  if (std::error_code none; !std::filesystem::exists(directory, none)) {
    if (auto made = file::ensure_directory(directory, 0700); !made) {
      log::write(std::move(made).error().context("local rule files"));
    }
  }
  auto watch = rules::LocalWatch::start(loop_, directory, [this] { follow_local_rules(); });
  if (!watch) {
    log::write(watch.error());
    return;
  }
  local_watch_ = std::move(*watch);
}

void App::keep_pins() {
  auto pinned = hooks_->pin_again();
  if (!pinned) {
    if (!std::exchange(unpinned_, true)) {
      log::write(std::move(pinned).error().context("somebody removed the pins of the hooks"));
    }
    return;
  }
  unpinned_ = false;
  if (!*pinned) {
    return;
  }
  log::warn("somebody removed the pins of the hooks: they are pinned again");
  // The folder may be another; of the same one we hold the lock (EBUSY).
  if (auto lock = intercept::lock_pins(config_.bpf_pin_directory); lock) {
    lock_ = std::move(*lock);
  }
}

/// Where the host does not sign its status, what it makes of requests alone tells whether it knows the key in use.
void App::watch_key() {
  const channel::Key* const key = state_->key.get();
  // The worker may not have heard of a new one yet.
  if (std::exchange(watched_key_, key) != key || key == nullptr || !data_) {
    return;
  }
  std::array<bool, kServiceCount> verifies{};
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    verifies[i] = state_->services[i].mode == "enforce";
  }
  if (const auto outcome = data_->counters().key.of(key->guid, verifies); outcome != proxy::KeyOutcome::kUnknown) {
    channel_->key_refused(outcome == proxy::KeyOutcome::kRefused);
  }
}

/// Root can take away what lies on disks and file systems, by mistake mostly; nothing says so.
Task<> App::look_after() {
  for (;;) {
    co_await loop_.sleep_until(loop_.after_ms(kUpkeepMs));
    keep_pins();
    watch_key();
    channel_->look_at_disk();
    // Nothing else need happen when the time is over.
    if (provisioning_.is_overdue(clock_.boottime_ms())) {
      report();
    }
    if (!local_watch_ || local_watch_->look_again()) {
      follow_local_rules();
    }
  }
}

}  // namespace msp::agent
