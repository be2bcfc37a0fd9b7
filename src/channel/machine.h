// SPDX-License-Identifier: Apache-2.0
// The secure channel as a table (protocol.md C.4, L.10, L.25 to L.30): an event in, the new state and the next action
// out. Pure values, owned by the driver (channel/channel.h) on the control thread; no key material ever enters here.
// Never fails: each failure of the outside world is an event, and leaves what was closed closed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/net.h"

namespace msp::channel {

enum class Phase : std::uint8_t {
  kUnknown,    ///< no good status answer yet (or a notify asked to begin anew)
  kDisabled,   ///< the host says that no channel is wanted
  kAcquiring,  ///< a key is needed and being asked for
  kAttesting,  ///< a key was received and saved; the host has not yet confirmed it
  kLatched,    ///< the key in use is the one that the host names
  kRefused,    ///< the host will not hand out or confirm a key
};
std::string_view to_string(Phase phase);

/// What one good status answer says, as far as the channel is concerned.
struct StatusFacts {
  std::string state;  ///< protocol.md B.4
  bool key_needed = false;
  std::optional<std::string> key_guid;  ///< GUID syntax only; anything else counts as absent (L.11)
  std::optional<std::uint32_t> incarnation;
  std::array<bool, kServiceCount> redirect{};  ///< by mode; index: Service
};

/// What is outstanding; exactly one at a time. The driver answers each with one event.
enum class Action : std::uint8_t {
  kPoll,     ///< GET status → Polled, PollFailed
  kLoadKey,  ///< read the stored key `candidate` → Loaded, NotStored
  kAcquire,  ///< POST key → Acquired, AcquireFailed
  kSaveKey,  ///< store it and read it back → Saved, SaveFailed
  kAttest,   ///< POST key-attestation → Attested, AttestFailed
  kWait,     ///< pause() long → Waited, Notified
};
std::string_view to_string(Action action);

/// What a good answer showed of the long poll (docs/long-poll.md).
struct Hold {
  bool known = false;          ///< the host said that it can hold answers; else nothing below means anything
  bool changed = false;        ///< its status has another tag than the one that we had
  std::uint64_t asked_ms = 0;  ///< how long it was allowed to hold this answer
  std::uint64_t took_ms = 0;

  bool operator==(const Hold&) const = default;
};

struct Polled {
  StatusFacts facts;
  Hold hold = {};
};
struct PollFailed {
  std::string why;
  std::string code = {};  ///< the host's own word for its refusal; empty: none
  int status = 0;         ///< that the host answered; 0: it did not
};
struct Loaded {};
struct NotStored {
  std::string why;
};
struct Acquired {
  std::string guid;  ///< checked syntax
};
struct AcquireFailed {
  std::string why;
  bool refused = false;  ///< the host answered no (4xx), as opposed to silence or trouble
  std::string code = {};
};
struct Saved {};
struct SaveFailed {
  std::string why;
};
struct Attested {};
struct AttestFailed {
  std::string why;
  bool refused = false;
  std::string code = {};
};
struct Waited {};
struct Notified {};
using Event = std::variant<Polled, PollFailed, Loaded, NotStored, Acquired, AcquireFailed, Saved, SaveFailed, Attested,
                           AttestFailed, Waited, Notified>;

struct Machine {
  Phase phase = Phase::kUnknown;
  int host_status = 0;            ///< that the host answered to the last poll, where that failed; 0: it did not
  std::string state = "Unknown";  ///< protocol.md B.4
  bool ever_latched = false;
  bool key_needed = false;
  std::string key_guid;   ///< in use; empty: none
  std::string candidate;  ///< being loaded, saved or attested
  std::array<bool, kServiceCount> redirect{};
  std::string message;    ///< follows the last poll (L.28)
  std::string host_code;  ///< with the message: the host's word for why it refused; empty: it did not, or gave none
  bool host_answers = false;
  std::uint32_t polls_failed = 0;  ///< in a row
  std::uint32_t refusals = 0;      ///< in a row, while the host's view stays the same
  std::uint32_t skip_acquire = 0;  ///< polls to let pass before the host is asked for a key again
  std::string refusal;             ///< why, shown while skipping
  std::string refusal_code;        ///< with it
  bool refused_by_host = false;    ///< it was the host that said no, not our own disk
  std::string not_stored;          ///< why the key that the host names cannot be used; empty: no such trouble
  std::optional<std::string> host_guid;
  std::optional<std::uint32_t> host_incarnation;
  Hold hold;  ///< of the last poll; a failed one forgets it

  /// A machine that was latched once starts closed; any other leaves traffic alone until the host speaks (L.30).
  static Machine start(bool ever_latched);
  /// A key is needed and there is none: what is redirected is answered "not ready" (protocol.md J.2).
  bool closed() const { return key_needed && key_guid.empty(); }
  bool operator==(const Machine&) const = default;
};

/// The transition. Events that do not answer the outstanding action are the driver's bug and change nothing.
Action apply(Machine& machine, Action outstanding, const Event& event);

struct Pace {
  std::uint64_t interval_ms = 15'000;  ///< between polls
  std::uint64_t uptime_ms = 0;         ///< of the process
  double jitter = 0;                   ///< -1 to 1, applied to back-offs only
};
/// How long kWait lasts (protocol.md C.5; failed polls are repeated soon, then ever later up to the interval).
std::uint64_t pause_ms(const Machine& machine, const Pace& pace);
/// How long the next poll asks to be held; 0: it asks only whether the host can. Nothing: it does not ask, since polls
/// come that soon anyway.
std::optional<std::uint32_t> hold_seconds(const Machine& machine, std::uint64_t interval_ms);

}  // namespace msp::channel
