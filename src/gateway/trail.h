// SPDX-License-Identifier: Apache-2.0
// A walk through a document that knows where it stands, without writing that down at each step: the text of a pointer
// is made where something is found.
// Names belong to the document, which must outlive the trail; any thread.
// Never fails; depth is what the parser allows.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace msp::gateway {

/// In any case.
bool same_name(std::string_view a, std::string_view b);

/// `pointer`, and below it a member of that name; of a very long name only the beginning.
std::string pointer_under(std::string pointer, std::string_view name);

class Trail {
 public:
  void enter(std::string_view name) { steps_.push_back({.name = name, .index = kNone}); }
  void enter(std::size_t index) { steps_.push_back({.name = {}, .index = index}); }
  void leave() { steps_.pop_back(); }

  /// True at "/a/b", in any case. Items of lists have no place.
  bool is(std::string_view place) const { return count(place) == steps_.size() && ends_with(place); }
  bool ends_with(std::string_view place) const { return ends_above(place, 0); }
  /// True for whatever stands in the same object as `place` does.
  bool is_beside(std::string_view place) const;
  bool begins_with(std::string_view name) const { return !steps_.empty() && same_name(steps_.front().name, name); }
  /// True somewhere below a member of that name.
  bool is_within(std::string_view name) const;
  std::string pointer() const;

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Step {
    std::string_view name;
    std::size_t index;
  };
  /// `ends_with`, without so many last steps.
  bool ends_above(std::string_view place, std::size_t steps) const;
  static std::size_t count(std::string_view place);

  std::vector<Step> steps_;
};

/// Asks bool look(const json::Member&, const Trail&) of each member: false leaves out what is below it.
template <class Look>
void walk(const json::Value& value, Trail& trail, Look& look) {
  if (const auto* items = value.array(); items != nullptr) {
    for (std::size_t i = 0; i < items->size(); ++i) {
      trail.enter(i);
      walk((*items)[i], trail, look);
      trail.leave();
    }
  }
  if (value.object() == nullptr) {
    return;
  }
  for (const json::Member& member : value.object()->members) {
    trail.enter(member.name);
    if (look(member, trail)) {
      walk(member.value, trail, look);
    }
    trail.leave();
  }
}

}  // namespace msp::gateway
