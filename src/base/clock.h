// SPDX-License-Identifier: Apache-2.0
// Time behind an interface, with a fake for tests.
// Owned by the assembly, outlives its users; SystemClock may be used by any thread.
// Never fails.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

namespace msp {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Nanoseconds since boot; runs on while the machine sleeps, never steps.
  virtual std::uint64_t boottime_ns() const = 0;
  /// Nanoseconds since 1970 UTC; may step.
  virtual std::int64_t realtime_ns() const = 0;

  std::uint64_t boottime_ms() const { return boottime_ns() / 1'000'000; }
};

class SystemClock final : public Clock {
 public:
  std::uint64_t boottime_ns() const override;
  std::int64_t realtime_ns() const override;
};

class FakeClock final : public Clock {
 public:
  explicit FakeClock(std::int64_t realtime_ns = 0, std::uint64_t boottime_ns = 0)
      : realtime_ns_(realtime_ns), boottime_ns_(boottime_ns) {}
  std::uint64_t boottime_ns() const override { return boottime_ns_; }
  std::int64_t realtime_ns() const override { return realtime_ns_; }
  void advance_ms(std::uint64_t ms) {
    boottime_ns_ += ms * 1'000'000;
    realtime_ns_ += static_cast<std::int64_t>(ms) * 1'000'000;
  }
  void step_realtime_ns(std::int64_t by) { realtime_ns_ += by; }

 private:
  std::atomic<std::int64_t> realtime_ns_;
  std::atomic<std::uint64_t> boottime_ns_;
};

/// "2025-04-23T12:00:00.123" (UTC, no zone: protocol.md H.3).
std::string timestamp_ms(std::int64_t realtime_ns);
/// "2025-04-23T12:00:00.123456Z" (RFC 3339).
std::string timestamp_us(std::int64_t realtime_ns);

/// Writes what timestamp_us() says, for lines of which many fall into one second: the date is put together once a
/// second. A thread's own.
class TimestampWriter {
 public:
  static constexpr std::size_t kMostBytes = 40;

  /// Returns the place behind it; needs room for kMostBytes.
  char* write(char* out, std::int64_t realtime_ns);

 private:
  std::int64_t second_ = std::numeric_limits<std::int64_t>::min();
  std::string date_;  ///< of `second_`, with the point
};

}  // namespace msp
