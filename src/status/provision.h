// SPDX-License-Identifier: Apache-2.0
// Provisioning as cloud-init and waagent see it (protocol.md C.5, G.1, H.6), with the mends of L.25 and J.2 rows 7, 8.
// Provisioning belongs to the control thread; ProvisionView is a value that the data loops read from a snapshot.
// Never fails: headers come from any local process, what cannot be read counts as absent (G.1).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace msp::status {

/// What `/provision` needs to know.
struct ProvisionView {
  std::int64_t finished_tick_ns = 0;  ///< since 1970; 0: still provisioning
  bool channel_wanted = false;        ///< the state is neither "disabled" nor "Unknown"
  std::string error_message;          ///< a line per missing flag, each ending CR LF
};

struct ProvisionRequest {
  bool has_metadata = false;   ///< header `Metadata` is there
  std::string_view time_tick;  ///< `x-ms-azure-time-tick`, bytes from the client
  bool has_notify = false;     ///< `x-ms-azure-notify` is there
  bool elevated = false;       ///< uid 0 by the kernel's record; unknown callers are not
};

/// Status and body; for a refusal the code and description of protocol.md J.2's error form instead of a body.
struct LocalAnswer {
  int status = 200;
  std::string body;  ///< application/json; charset=utf-8
  std::string_view error_code;
  std::string_view error_description;
  bool wake_poll = false;  ///< the caller must tell the channel (C.5)
};

/// G.1. A notify counts only from an elevated caller (J.2 row 7).
LocalAnswer answer_provision(const ProvisionView& view, const ProvisionRequest& request);
/// G.2 with J.2 row 8; `aggregate_json` is the compact form of protocol.md H.3.
LocalAnswer answer_aggregate_status(bool has_metadata, bool elevated, std::string_view aggregate_json);

/// Flags and the finish time of H.6.
class Provisioning {
 public:
  enum Flag : unsigned { kRedirector = 1, kKeyLatch = 2, kListener = 4, kAllFlags = 7 };
  static constexpr std::uint64_t kTimeoutMs = 120'000;

  /// `boot_ms`: CLOCK_BOOTTIME.
  explicit Provisioning(std::uint64_t boot_ms) : began_ms_(boot_ms) {}

  /// A flag holds (again); with all of them the finish time becomes `unix_ns`. True: tag files are due.
  bool report(Flag flag, std::int64_t unix_ns);
  /// A flag holds no more; the finish time stays (H.6 never takes it back).
  void withdraw(Flag flag) { flags_ &= ~static_cast<unsigned>(flag); }
  /// A notify in state Unknown or disabled: the key must be reported anew and the 120 s begin anew (C.5).
  void restart(std::uint64_t boot_ms);
  /// 120 s have passed without all flags, and check_timeout() has not said so yet.
  bool is_overdue(std::uint64_t boot_ms) const;
  /// True once, when 120 s have passed without all flags: the finish time becomes `unix_ns`, tag files are due.
  bool check_timeout(std::uint64_t boot_ms, std::int64_t unix_ns);

  bool has(Flag flag) const { return (flags_ & flag) != 0; }
  std::int64_t finished_tick_ns() const { return finished_tick_ns_; }

  struct Messages {
    std::string_view redirector, key, listener;  ///< module messages
  };
  /// A line per missing flag, each ending CR LF; empty if all are set.
  std::string error_text(const Messages& messages) const;

 private:
  unsigned flags_ = 0;
  std::int64_t finished_tick_ns_ = 0;
  std::uint64_t began_ms_;
  bool timeout_reported_ = false;
};

/// `& ' " < >` as entities: the content of status.tag.
std::string xml_escape(std::string_view text);

}  // namespace msp::status
