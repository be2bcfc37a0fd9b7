// SPDX-License-Identifier: Apache-2.0
#include "gateway/trail.h"

#include <algorithm>

#include "base/ascii.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kShownOfName = 200;  ///< bytes

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return ascii_lower(x) == ascii_lower(y); });
}

std::string pointer_under(std::string pointer, std::string_view name) {
  if (name.size() <= kShownOfName) {
    json::append_pointer(pointer, name);
    return pointer;
  }
  std::size_t end = kShownOfName;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0U) == 0x80U) {
    --end;  // no character is cut
  }
  json::append_pointer(pointer, name.substr(0, end));
  return pointer + "…";
}

std::size_t Trail::count(std::string_view place) { return static_cast<std::size_t>(std::ranges::count(place, '/')); }

bool Trail::is_beside(std::string_view place) const {
  return count(place) == steps_.size() && ends_above(place.substr(0, place.rfind('/')), 1);
}

bool Trail::ends_above(std::string_view place, std::size_t steps) const {
  auto step = steps_.rbegin() + static_cast<std::ptrdiff_t>(steps);
  while (!place.empty()) {
    const std::size_t slash = place.rfind('/');
    if (step == steps_.rend() || step->index != kNone || !same_name(step->name, place.substr(slash + 1))) {
      return false;
    }
    place = place.substr(0, slash);
    ++step;
  }
  return true;
}

bool Trail::is_within(std::string_view name) const {
  return !steps_.empty() &&
         std::any_of(steps_.begin(), steps_.end() - 1, [&](const Step& step) { return same_name(step.name, name); });
}

std::string Trail::pointer() const {
  std::string out;
  for (const Step& step : steps_) {
    if (step.index == kNone) {
      out = pointer_under(std::move(out), step.name);
    } else {
      out.append("/").append(std::to_string(step.index));
    }
  }
  return out;
}

}  // namespace msp::gateway
