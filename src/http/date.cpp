// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <algorithm>
#include <cstring>

namespace msp::http {
namespace {

constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::int64_t kDaySeconds = 86'400;
constexpr std::int64_t kFirst = -62'167'219'200;  // 0000-01-01 00:00:00
constexpr std::int64_t kLast = 253'402'300'799;   // 9999-12-31 23:59:59

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (year ≥ 0, month 1..12).
std::int64_t days_from_civil(std::int64_t year, std::int64_t month, std::int64_t day) {
  // Counted in years that begin in March, so that the leap day is the last one; 400 years have 146097 days.
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

struct Civil {
  std::int64_t year, month, day;
};

Civil civil_from_days(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t day_of_era = days - era * 146'097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * day_of_year + 2) / 153;
  const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day_of_year - (153 * shifted + 2) / 5 + 1};
}

std::int64_t weekday(std::int64_t days) { return ((days + 4) % 7 + 7) % 7; }

void put(char* at, std::int64_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

/// -1: not all digits.
std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return -1;
    }
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

DateText format_date(std::int64_t unix_seconds) {
  unix_seconds = std::clamp(unix_seconds, kFirst, kLast);
  std::int64_t days = unix_seconds / kDaySeconds;
  std::int64_t rest = unix_seconds % kDaySeconds;
  if (rest < 0) {
    rest += kDaySeconds;
    --days;
  }
  const Civil date = civil_from_days(days);
  DateText out;
  std::memcpy(out.data(), "Ddd, 00 Mmm 0000 00:00:00 GMT", kDateSize);
  std::memcpy(out.data(), kDays.data() + 3 * weekday(days), 3);
  put(&out[5], date.day, 2);
  std::memcpy(&out[8], kMonths.data() + 3 * (date.month - 1), 3);
  put(&out[12], date.year, 4);
  put(&out[17], rest / 3600, 2);
  put(&out[20], rest / 60 % 60, 2);
  put(&out[23], rest % 60, 2);
  return out;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
  if (text.size() != kDateSize) {
    return std::nullopt;
  }
  const std::int64_t day = number(text.substr(5, 2));
  const std::int64_t year = number(text.substr(12, 4));
  const std::int64_t hour = number(text.substr(17, 2));
  const std::int64_t minute = number(text.substr(20, 2));
  const std::int64_t second = number(text.substr(23, 2));
  const std::size_t month = kMonths.find(text.substr(8, 3));
  if (day < 1 || year < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 ||
      month == std::string_view::npos || month % 3 != 0) {
    return std::nullopt;
  }
  const std::int64_t days = days_from_civil(year, static_cast<std::int64_t>(month / 3 + 1), day);
  const std::int64_t out = days * kDaySeconds + hour * 3600 + minute * 60 + second;
  // Writing it again settles the rest: separators, day of the week, days that the month does not have.
  const DateText again = format_date(out);
  if (std::string_view(again.data(), again.size()) != text) {
    return std::nullopt;
  }
  return out;
}

}  // namespace msp::http
