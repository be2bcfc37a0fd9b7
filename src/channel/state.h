// SPDX-License-Identifier: Apache-2.0
// What the rest of the agent sees of the channel: an immutable snapshot, replaced as a whole.
// Made by channel::Channel on the control thread, held as shared_ptr<const ChannelState>; any thread may read.
// Passive data; `closed` is the word that counts where there is no key.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/net.h"
#include "base/secret.h"
#include "channel/machine.h"
#include "protocol/extensions.h"
#include "protocol/status.h"

namespace msp::channel {

/// The latched key. Each signer makes its own HmacSha256 of it.
struct Key {
  std::string guid;
  std::optional<std::uint32_t> incarnation;
  Secret bytes;  ///< 32
};

struct ServiceChannel {
  std::string mode = "unknown";  ///< as the host wrote it, lower case; "unknown" before it has spoken
  bool redirect = false;
};

struct ChannelState {
  Phase phase = Phase::kUnknown;
  std::string state;  ///< protocol.md B.4: "Unknown", "disabled", ...
  /// A key is needed and there is none: redirected requests are answered "not ready" (protocol.md J.2).
  bool closed = false;
  std::shared_ptr<const Key> key;  ///< null: none in use; then nothing may go out signed, nor unsigned while `closed`
  std::array<ServiceChannel, kServiceCount> services;  ///< index: Service
  /// The last good status answer; null before. Rules are read from here, also after failed polls.
  std::shared_ptr<const protocol::StatusDocument> document;
  bool ever_latched = false;
  bool host_answers = false;   ///< the last poll was good
  int host_status = 0;         ///< that the host answered to it, where it was not; 0: it did not
  bool long_poll = false;      ///< the host holds polls (docs/long-poll.md)
  bool signed_status = false;  ///< the host signs its status, and what it does not sign is not believed
  bool key_doubted = false;    ///< the host names the key in use, and its signature says that it has another of this id
  bool key_refused = false;    ///< the host refuses what is signed with the key in use
  protocol::Asks asks;         ///< of each signed request (docs/request-extensions.md)
  std::string disk_trouble;    ///< what a restart would not find of key and marks; empty: nothing
  std::string message;         ///< of the last poll; never a key, never text of the host's document
  std::string
      host_code;  ///< with the message: the host's word for its refusal, or ours for not believing it; empty: none
  /// Host time in ms since 1970 minus CLOCK_BOOTTIME in ms (L.34); absent: the system clock has to do.
  std::optional<std::int64_t> host_time_offset_ms;
  std::uint64_t generation = 0;  ///< grows with each published snapshot

  bool redirect(Service service) const { return services[static_cast<std::size_t>(service)].redirect; }
};

}  // namespace msp::channel
