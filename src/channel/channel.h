// SPDX-License-Identifier: Apache-2.0
// The secure channel to the host: polls, latches a key, and says after each step what holds now.
// Owned by the assembly; lives on the control thread's loop, as do its callbacks; reads and writes files there.
// Whatever fails is a message in the state and is tried again; what was closed stays closed (protocol.md L.30).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/task.h"
#include "channel/host_client.h"
#include "channel/key_store.h"
#include "channel/machine.h"
#include "channel/state.h"
#include "channel/status_guard.h"
#include "http/buffer.h"

namespace msp::channel {

class Channel {
 public:
  struct Settings {
    Ipv4Endpoint host = kWireServerEndpoint;
    std::string key_directory;
    std::string state_directory;
    std::string machine_file = {};  ///< tells this machine from a copy of it; may be missing
    std::uint64_t interval_ms = 15'000;
    std::uint64_t timeout_ms = 10'000;  ///< of each request to the host
  };
  using Published = std::function<void(std::shared_ptr<const ChannelState>)>;
  /// The host answered a poll, and nothing has changed: for what is looked at as often as the host is asked.
  using Unchanged = std::function<void()>;

  Channel(Loop& loop, http::BufferPool& buffers, const Clock& clock, Dialer dialer, Settings settings,
          Published published, Unchanged unchanged = {});
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Checks the directories, publishes the state that holds before any answer (L.30), begins to poll. An error means
  /// that keys cannot be kept here; nothing was started.
  Result<void> start();
  /// Somebody elevated asked for provisioning (protocol.md C.5). True where it begins anew (nothing latched): the host
  /// is polled at once, and provisioning must wait for a key again. False: only a key in use lets it finish (L.25).
  bool notify();

  /// To be called now and then: what a restart needs of the disk is looked at, and the marks written that are gone or
  /// could not be written; that of the latch also where it is from before this start.
  void look_at_disk();

  /// What the host makes of requests that are signed with the key in use.
  void key_refused(bool refused);

  /// Never null after start().
  const std::shared_ptr<const ChannelState>& state() const { return state_; }

 private:
  Task<void> run();
  Task<Event> perform(Action action);
  Task<Event> poll();
  std::optional<protocol::Wait> wait_to_ask() const;
  Hold hold_of(const std::optional<protocol::Wait>& asked, std::uint64_t begun_ms) const;
  Task<Event> acquire();
  Task<Event> attest();
  Task<Event> wait();
  Result<protocol::KeyDocument> load_fitting(const std::string& guid) const;
  Event load_key();
  void take_what_was_put_right();
  Event save_key();
  void note_attempt(const std::string& guid);
  void settle();
  void mark();
  void publish();

  Loop& loop_;
  const Clock& clock_;
  Settings settings_;
  Published published_;
  Unchanged unchanged_;
  KeyStore store_;
  StatusGuard guard_;
  HostClient client_;
  Machine machine_;
  Signal notify_;
  bool notified_ = false;
  bool holding_ = false;   ///< the host may be holding the poll under way
  bool cut_ = false;       ///< by notify()
  bool answered_ = false;  ///< by the host, since the last publish()
  bool marked_ = false;
  std::string mark_trouble_;  ///< why the mark cannot be written, as it was told; empty: it can
  std::string disk_trouble_;  ///< of the key in use, or the mark; empty: none
  bool known_ = false;        ///< that this machine was latched: the disk said so at start
  bool guessed_ = false;      ///< the same: the disk could not say
  std::uint64_t started_ms_ = 0;
  std::minstd_rand random_;
  protocol::KeyDocument candidate_;  ///< being loaded, saved or attested; no guid: none
  std::vector<std::string>
      attempts_;  ///< key ids whose files this run has made, and that came into no use; oldest first
  std::shared_ptr<const Key> key_;
  bool loaded_ = false;       ///< the key in use is from a file of before this run
  bool key_refused_ = false;  ///< the key in use
  std::shared_ptr<const protocol::StatusDocument> document_;
  std::shared_ptr<const ChannelState> state_;
  std::optional<Task<void>> task_;  // last: dies before what it uses
};

}  // namespace msp::channel
