// SPDX-License-Identifier: Apache-2.0
// What monitor and worker say to each other (docs/decisions/privilege-separation.md has who does what, and why).
// Passive values with one owner; any thread.
// The worker may be somebody else's: what comes from it is untrusted, and refused as a whole where it does not fit. The
// monitor is trusted by the worker; a message of it that does not fit is a bug.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/log.h"
#include "base/net.h"
#include "base/result.h"
#include "base/secret.h"
#include "policy/ruleset.h"
#include "protocol/extensions.h"
#include "proxy/gate.h"
#include "proxy/settings.h"
#include "status/provision.h"

namespace msp::link {

/// Of the header and of Greeting, which stay; of nothing else, since both ends must come from one build.
inline constexpr std::uint16_t kVersion = 2;

/// The first message of either end, alike in every build. Who reads another build's than its own goes no further: what
/// follows may mean anything.
struct Greeting {
  std::string build;  ///< link::build()
};

// --- from the monitor ---

/// The second message. Descriptors: queue memory and its event (without an audit file: none), counters.
struct Setup {
  std::uint32_t uid = 0;  ///< whom to become; never root
  std::uint32_t gid = 0;
  log::Level log_level = log::Level::kInfo;  ///< the most detailed that anybody wants
  std::uint64_t audit_ring_bytes = 0;        ///< 0: no audit file
  std::uint64_t tickets_from = 0;  ///< above all that an earlier worker gave out: no answer to it answers this one
  proxy::Settings proxy;
};

/// With a listening socket: accept on it.
struct Listen {
  std::uint64_t listener = 0;
};
/// With a connection that was accepted elsewhere: serve it.
struct Adopt {};

struct Names {
  struct Name {
    std::uint32_t id = 0;
    std::string name;
  };
  std::vector<Name> users;
  std::vector<Name> groups;
};

/// Executables that rules name, as the monitor holds them.
struct Pins {
  struct Pin {
    std::string path;
    std::uint64_t inode = 0;
    std::uint64_t since_ns = 0;
  };
  bool idle = true;
  std::uint64_t ticket = 0;
  std::vector<Pin> pins;
};

struct Places {
  enum class Found : std::uint8_t { kPlace, kGone, kFailed };
  struct Entry {
    std::uint64_t cgroup = 0;
    Found found = Found::kGone;
    std::string path;
  };
  bool idle = true;
  std::uint64_t ticket = 0;
  std::vector<Entry> entries;
};

/// The rules of all services as text, which the worker compiles. They hold from the next Gate with this generation on.
struct Rules {
  enum class Kind : std::uint8_t { kNone, kItem, kDenyAll };
  struct Set {
    Kind kind = Kind::kNone;
    std::string id;    ///< with kDenyAll
    std::string text;  ///< kItem: its wire form (protocol.md E.1); kDenyAll: why
  };
  policy::Matching matching = policy::Matching::kEnforce;
  std::uint64_t generation = 0;
  std::array<Set, kServiceCount> sets;
};

struct Gate {
  struct Key {
    std::string guid;
    Secret bytes;
  };
  proxy::Readiness readiness = proxy::Readiness::kNotReady;
  std::optional<std::uint64_t> rules;  ///< generation; none: no rules yet
  std::optional<Key> key;
  std::optional<std::int64_t> host_time_offset_ms;
  protocol::Asks asks;
};

/// What the local endpoints answer from.
struct Status {
  status::ProvisionView provision;
  std::string aggregate_json;
};

/// The answer to a Dial: with a socket whose connect has begun, or why not.
struct Dialled {
  std::uint64_t dial = 0;
  std::uint32_t code = 0;  ///< errno; 0: the socket is there
};
/// As Setup's; holds from the next line on.
struct LogLevel {
  log::Level level = log::Level::kInfo;
};
struct Ping {};
/// Accept no more, answer what is in flight, say Drained.
struct Drain {};
/// End every connection now.
struct Abort {};

using ToWorker = std::variant<Greeting, Setup, Listen, Adopt, Names, Pins, Places, Rules, Gate, Status, Dialled,
                              LogLevel, Ping, Drain, Abort>;

// --- from the worker ---

/// It has nothing left to lose, and begins.
struct Hello {};
/// All up to the message with this number holds for the next request.
struct Taken {
  std::uint64_t number = 0;
};
struct Dial {
  std::uint64_t dial = 0;  ///< the worker's number for it
  Service service = Service::kImds;
};
struct WantName {
  std::uint32_t id = 0;
  bool group = false;
};
struct WantExecutables {
  std::uint64_t ticket = 0;
};
struct WantPlace {
  std::uint64_t cgroup = 0;
  std::uint64_t ticket = 0;
};
/// A client of the right to do so wants the host asked at once.
struct Notify {};
struct ListenerLost {
  std::uint64_t listener = 0;
};
struct Pong {};
struct Drained {};
/// For the log; the monitor decides what of it is written.
struct Line {
  /// Of text and of fields' values in bytes; what is longer is cut. No line needs another kind of packet.
  static constexpr std::size_t kMostText = 2'000;
  static constexpr std::size_t kMostFields = 8;
  struct Field {
    std::string name;
    std::string value;
  };
  log::Level level = log::Level::kInfo;
  std::string text;
  std::vector<Field> fields;
};

using ToMonitor = std::variant<Greeting, Hello, Taken, Dial, WantName, WantExecutables, WantPlace, Notify, ListenerLost,
                               Pong, Drained, Line>;

/// A message as it is sent: a header, then the members. `number` grows with each message of one sender.
std::string encode(const ToWorker& message, std::uint64_t number);
std::string encode(const ToMonitor& message, std::uint64_t number);

template <class M>
struct Numbered {
  std::uint64_t number = 0;
  M message;
};
Result<Numbered<ToWorker>> decode_to_worker(std::string_view bytes);
Result<Numbered<ToMonitor>> decode_to_monitor(std::string_view bytes);

/// What either end says where the other's greeting names another build.
Error of_another_build(std::string_view monitor, std::string_view worker);

/// How many descriptors come with a message.
std::size_t descriptors_of(const ToWorker& message);

}  // namespace msp::link
