// SPDX-License-Identifier: Apache-2.0
// The three requests of the secure channel, byte for byte as the field sends them (protocol.md B.1, C.1, C.3, D.6).
// Owned by the channel, on the control thread's loop; one request at a time, each on a connection of its own.
// Silence ends after a deadline (the field has none). Answers are the host's: unauthenticated, bounded, strictly read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/stream.h"
#include "base/task.h"
#include "channel/status_guard.h"
#include "http/buffer.h"
#include "http/client.h"
#include "protocol/extensions.h"
#include "protocol/key.h"
#include "protocol/status.h"
#include "protocol/wait.h"

namespace msp::channel {

/// A non-blocking, unconnected TCP socket that the kernel hooks leave alone.
using Dialer = std::function<Result<Fd>(const Ipv4Endpoint& to)>;

/// In the place of the host's own word: its status is of no form that we know.
inline constexpr std::string_view kStatusNotUnderstood = "status_not_understood";

/// A value, or why there is none; `refused`: the host understood and said no (4xx), asking again soon is no use.
template <class T>
struct Answer {
  std::optional<T> value;
  std::string why;
  bool refused = false;
  std::string code = {};  ///< msp-host's word for its refusal ("key_latched"): lower-case letters, digits, "_"
  int status = 0;         ///< of an answer that was not good; 0: there was none, or it was no HTTP
};

/// Host time minus CLOCK_BOOTTIME (L.34): heard at each good poll, running on between them.
class HostTime {
 public:
  /// `value`: a date header (protocol.md D.5); what is no date changes nothing.
  void heard(std::string_view value, std::uint64_t boot_ms);
  std::optional<std::int64_t> offset_ms() const { return offset_ms_; }
  /// Seconds since 1970 by the host's clock, or the system's before it was heard.
  std::int64_t unix_seconds(const Clock& clock) const;

 private:
  std::optional<std::int64_t> offset_ms_;
};

class HostClient {
 public:
  struct Settings {
    Ipv4Endpoint host;  ///< WireServer
    std::uint64_t timeout_ms = 10'000;
  };
  HostClient(Loop& loop, http::BufferPool& buffers, const Clock& clock, Dialer dialer, Settings settings);

  /// `wait`: asks the host to hold its answer (docs/long-poll.md); the deadline is that much later. `guard`: asks the
  /// host to sign it; of what the guard does not believe nothing is taken, the host's time neither. Null: none does.
  Task<Answer<protocol::StatusDocument>> status(std::optional<protocol::Wait> wait = std::nullopt,
                                                StatusGuard* guard = nullptr);
  /// What the host said of it in its last good status answer.
  const std::optional<protocol::Wait>& told() const { return told_; }
  /// What the host asks of each signed request, by its last good status answer.
  const protocol::Asks& asks() const { return asks_; }
  /// Ends the request that is under way: it fails.
  void cut();
  Task<Answer<protocol::KeyDocument>> acquire();
  /// Signed with `key`; `value` is true.
  Task<Answer<bool>> attest(const protocol::KeyDocument& key);

  const HostTime& time() const { return time_; }

 private:
  struct Outgoing;
  Task<Answer<http::ClientResponse>> send(const Outgoing& request);
  Result<std::string> authorization(const protocol::KeyDocument& key, const Outgoing& request) const;
  static std::optional<Disbelief> judge(StatusGuard& guard, const Outgoing& request,
                                        const http::ClientResponse& answer);
  std::string date_now() const;
  void wipe_buffer();

  Loop& loop_;
  http::BufferPool& buffers_;
  const Clock& clock_;
  Dialer dialer_;
  Settings settings_;
  std::string host_name_;  ///< never with a port (B.1)
  HostTime time_;
  std::optional<protocol::Wait> told_;
  protocol::Asks asks_;
  Stream* stream_ = nullptr;  ///< of the request under way
};

}  // namespace msp::channel
