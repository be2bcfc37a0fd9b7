// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <fmt/core.h>

#include <ctime>

#include "base/text_bytes.h"

namespace msp {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::int64_t now_ns(clockid_t id) {
  timespec ts{};
  ::clock_gettime(id, &ts);
  return ts.tv_sec * kNsPerSecond + ts.tv_nsec;
}

struct Split {
  std::tm day{};
  std::int64_t ns = 0;
};

Split split(std::int64_t realtime_ns) {
  std::int64_t seconds = realtime_ns / kNsPerSecond;
  std::int64_t ns = realtime_ns % kNsPerSecond;
  if (ns < 0) {
    ns += kNsPerSecond;
    --seconds;
  }
  Split out{.day = {}, .ns = ns};
  const std::time_t t = seconds;
  ::gmtime_r(&t, &out.day);
  return out;
}

std::string date_and_time(const std::tm& day) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday,
                     day.tm_hour, day.tm_min, day.tm_sec);
}

}  // namespace

std::uint64_t SystemClock::boottime_ns() const { return static_cast<std::uint64_t>(now_ns(CLOCK_BOOTTIME)); }
std::int64_t SystemClock::realtime_ns() const { return now_ns(CLOCK_REALTIME); }

std::string timestamp_ms(std::int64_t realtime_ns) {
  const Split at = split(realtime_ns);
  return date_and_time(at.day) + fmt::format(".{:03}", at.ns / 1'000'000);
}

std::string timestamp_us(std::int64_t realtime_ns) {
  const Split at = split(realtime_ns);
  return date_and_time(at.day) + fmt::format(".{:06}Z", at.ns / 1'000);
}

char* TimestampWriter::write(char* out, std::int64_t realtime_ns) {
  if (realtime_ns < 0) {
    return put_text(out, timestamp_us(realtime_ns));
  }
  constexpr std::size_t kDigits = 6;
  if (realtime_ns / kNsPerSecond != second_) {
    second_ = realtime_ns / kNsPerSecond;
    date_ = timestamp_us(realtime_ns);
    date_.resize(date_.size() - kDigits - 1);
  }
  out = put_text(out, date_);
  auto micros = static_cast<std::uint32_t>(realtime_ns % kNsPerSecond / 1000);
  for (std::size_t i = kDigits; i-- > 0; micros /= 10) {
    out[i] = static_cast<char>('0' + micros % 10);
  }
  out[kDigits] = 'Z';
  return out + kDigits + 1;
}

}  // namespace msp
