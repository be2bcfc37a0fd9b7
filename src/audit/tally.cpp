// SPDX-License-Identifier: Apache-2.0
#include "audit/tally.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace msp::audit {
namespace {

constexpr std::string_view kOthers = "others";
constexpr std::uint16_t kForbidden = 403;

/// Rows of protocol.md J that are in no summary: what is no request, and what the agent answers itself.
bool counts(const Record& record) {
  constexpr std::array kUncounted = {0, 400, 408, 413, 414, 417, 431, 505};
  return record.service != "local" &&
         (record.decision != Decision::kDeny || std::ranges::find(kUncounted, record.status) == kUncounted.end());
}

/// Refused by rules, or it would have been (J rows 13 and 14).
bool forbidden(const Record& record) {
  return record.decision == Decision::kAudit ||
         (record.decision == Decision::kDeny && record.status == kForbidden && record.reason != "path_traversal");
}

}  // namespace

void Tally::Counts::add(std::int64_t quarter) {
  // A clock that was set back counts into the newest quarter.
  for (; newest < quarter; ++newest) {
    if (quarter - newest > static_cast<std::int64_t>(kBuckets)) {
      newest = quarter - static_cast<std::int64_t>(kBuckets);
    }
    of[static_cast<std::size_t>(newest + 1) % kBuckets] = 0;
  }
  ++of[static_cast<std::size_t>(newest) % kBuckets];
}

std::uint64_t Tally::Counts::sum(std::int64_t quarter) const {
  std::uint64_t sum = 0;
  const std::int64_t oldest = std::max(quarter, newest) - static_cast<std::int64_t>(kBuckets) + 1;
  for (std::int64_t each = std::max(oldest, newest - static_cast<std::int64_t>(kBuckets) + 1); each <= newest; ++each) {
    sum += of[static_cast<std::size_t>(each) % kBuckets];
  }
  return sum;
}

void Tally::add(const Record& record, bool alike) {
  const std::int64_t quarter = std::max<std::int64_t>(record.time_ns, 0) / kBucketNs;
  if (!alike) {
    forget_old(quarter);
    const auto key = [&](bool refused, std::uint16_t status) {
      return Group{.refused = refused,
                   .status = status,
                   .gid = record.has_caller ? record.gid : 0,
                   .user = std::string(record.user),
                   .service = std::string(record.service),
                   .exe = std::string(record.exe),
                   .process = std::string(record.process)};
    };
    served_ = counts(record) ? &group(key(false, record.status), quarter) : nullptr;
    refused_ = forbidden(record) ? &group(key(true, kForbidden), quarter) : nullptr;
  }
  if (served_ != nullptr) {
    served_->add(quarter);
  }
  if (refused_ != nullptr) {
    refused_->add(quarter);
  }
}

Tally::Counts& Tally::group(Group key, std::int64_t quarter) {
  const auto found = groups_.find(key);
  if (found != groups_.end()) {
    return found->second;
  }
  if (groups_.size() >= kMaxGroups) {
    key = {.refused = key.refused,
           .status = key.status,
           .gid = 0,
           .user = std::string(kOthers),
           .service = key.service,
           .exe = {},
           .process = {}};
  }
  return groups_.try_emplace(std::move(key), Counts{.newest = quarter}).first->second;
}

/// Once a quarter; the pointers to groups are made anew after it.
void Tally::forget_old(std::int64_t quarter) {
  if (quarter != swept_) {
    swept_ = quarter;
    std::erase_if(groups_, [&](const auto& each) { return each.second.sum(quarter) == 0; });
  }
}

Summary Tally::list(std::int64_t now_ns) const {
  Summary out;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, counts] : groups_) {
      if (const std::uint64_t count = counts.sum(std::max<std::int64_t>(now_ns, 0) / kBucketNs); count != 0) {
        (key.refused ? out.refused : out.served)
            .push_back({.user = key.user,
                        .gid = key.gid,
                        .service = key.service,
                        .exe = key.exe,
                        .process = key.process,
                        .status = key.status,
                        .count = count});
      }
    }
  }
  for (auto* list : {&out.served, &out.refused}) {
    std::ranges::sort(*list, std::greater<>{}, &SummaryGroup::count);
  }
  return out;
}

}  // namespace msp::audit
