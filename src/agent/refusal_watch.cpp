// SPDX-License-Identifier: Apache-2.0
#include "agent/refusal_watch.h"

#include <algorithm>
#include <utility>

namespace msp::agent {
namespace {

bool is_of_the_key(const audit::Refusal& refusal) {
  return refusal.host_code == "bad_signature" || refusal.host_code == "unknown_key" ||
         refusal.host_code == "key_ended" || refusal.host_code == "foreign_key";
}

}  // namespace

std::optional<bool> RefusalWatch::look(const void* key, const std::vector<audit::Refusal>& refusals,
                                       std::uint64_t served) {
  std::int64_t newest = newest_ns_;
  for (const audit::Refusal& refusal : refusals) {
    newest = is_of_the_key(refusal) ? std::max(newest, refusal.time_ns) : newest;
  }
  const bool refused = std::exchange(newest_ns_, newest) != newest;
  const bool more = std::exchange(served_, served) != served;
  // What was asked before a change of the key says nothing of the new one.
  if (std::exchange(key_, key) != key || (!refused && !more)) {
    return std::nullopt;
  }
  return refused;
}

}  // namespace msp::agent
