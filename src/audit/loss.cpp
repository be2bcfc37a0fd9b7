// SPDX-License-Identifier: Apache-2.0
#include "audit/loss.h"

#include <algorithm>

namespace msp::audit {

void LossTable::set_name(Slot& slot, std::string_view name) {
  std::copy(name.begin(), name.end(), slot.name.begin());
  slot.size = static_cast<std::uint8_t>(name.size());
}

void LossTable::count(std::string_view reason) noexcept {
  const std::string_view name = reason.empty() ? "permit" : reason.substr(0, kNameSize);
  const std::size_t used = std::min(used_.load(std::memory_order_relaxed), kSlots);
  std::size_t index = 0;
  while (index < used && slots_[index].text() != name) {
    ++index;
  }
  index = std::min(index, kSlots - 1);
  if (index == used) {
    set_name(slots_[index], index == kSlots - 1 ? "other" : name);
    used_.store(used + 1, std::memory_order_release);
  }
  slots_[index].count.fetch_add(1, std::memory_order_relaxed);
  total_.fetch_add(1, std::memory_order_release);
}

void LossTable::add_to(std::map<std::string, std::uint64_t>& sums) const {
  const std::size_t used = std::min(used_.load(std::memory_order_acquire), kSlots);
  for (std::size_t i = 0; i < used; ++i) {
    sums[std::string(slots_[i].text())] += slots_[i].count.load(std::memory_order_relaxed);
  }
}

}  // namespace msp::audit
