// SPDX-License-Identifier: Apache-2.0
#include "gateway/status_waits.h"

#include <utility>

namespace msp::gateway {

Task<void> StatusWaits::hold(std::string vm_id, std::uint64_t ms, std::function<bool()> changed) {
  if (ended_ || waiting_ >= most_) {
    co_return;
  }
  std::unique_ptr<Line>& place = lines_[vm_id];
  if (place == nullptr) {
    place = std::make_unique<Line>(loop_);
  }
  Line& line = *place;  // stays while somebody waits in it
  if (line.waiting >= kMostForOne) {
    co_return;
  }
  ++line.waiting;
  ++waiting_;
  const Deadline until = loop_.after_ms(ms);
  bool over = ended_ || changed();
  while (!over) {
    const bool announced = co_await line.signal.wait(until);
    over = !announced || ended_ || changed();
  }
  --waiting_;
  if (--line.waiting == 0) {
    lines_.erase(vm_id);
  }
}

void StatusWaits::announce(const std::string& vm_id) {
  if (const auto found = lines_.find(vm_id); found != lines_.end()) {
    found->second->signal.announce();
  }
}

void StatusWaits::end() {
  ended_ = true;
  for (const auto& [vm_id, line] : lines_) {
    line->signal.announce();
  }
}

}  // namespace msp::gateway
