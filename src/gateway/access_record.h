// SPDX-License-Identifier: Apache-2.0
// One line of the access log: who asked what of which service, and what the host made of it.
// A value on the stack of the request; loop's thread.
// Nothing fails. No query, header or body goes in, so neither key nor token can; texts of clients are escaped and cut.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/net.h"
#include "protocol/extensions.h"

namespace msp::gateway {

enum class Outcome : std::uint8_t {
  kOpen,      ///< the service is disabled for this machine: nothing was verified
  kVerified,  ///< endorsed by the machine's agent
  kExempt,    ///< goes unsigned (protocol.md D.8)
  kChannel,   ///< secure-channel call
  kAudited,   ///< served although enforce would have refused; `reason` says why
  kRefused,
};

/// "open", "verified", "exempt", "channel", "audited", "refused".
std::string_view to_string(Outcome outcome);

struct AccessRecord {
  std::int64_t realtime_ns = 0;
  std::string_view request_id{};
  std::string_view vm_name{};  ///< empty: unknown caller
  std::string_view vm_id{};
  Ipv4Endpoint peer{};
  std::string_view network{};  ///< that it came by; empty: by a listener of none
  Service service = Service::kImds;
  std::string_view method{};
  std::string_view path{};
  int status = 0;
  Outcome outcome = Outcome::kRefused;
  std::string_view reason{};       ///< code of a Reason, or of the server for what was no request; empty: none
  std::optional<bool> elevated{};  ///< the verified claim
  const protocol::Caller* caller = nullptr;  ///< as the machine's agent has signed it; null: not named
  std::uint64_t body_bytes = 0;
};

/// Records as JSON objects (docs/host.md). Belongs to the loop's thread: every request writes one.
class AccessLine {
 public:
  /// Without line feed; good until the next call.
  std::string_view write(const AccessRecord& record);

 private:
  TimestampWriter time_;
  std::string text_;
};

}  // namespace msp::gateway
