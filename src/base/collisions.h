// SPDX-License-Identifier: Apache-2.0
// Where a program reads and writes by its configuration, and which two of these places collide: what is written at one
// would destroy what is at the other.
// Pure function; any thread. Paths are compared as texts, without "." and "..": no link is followed.
// What collides is the reader's problem, at the field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fields.h"

namespace msp {

struct Place {
  enum class Extent : std::uint8_t {
    kAlone,     ///< a file, a socket, or a folder with all within
    kNumbered,  ///< a file, and "PATH.NUMBER", what it was rotated to
    kNames,     ///< every name that begins so
    kShared,    ///< a folder in which others may have files
  };
  std::string_view field;  ///< empty: what `what` names cannot be moved by one; such come first
  std::string_view what;
  std::string path;  ///< one that is not absolute is no place
  Extent extent = Extent::kAlone;
  bool written = true;  ///< false: only read. Two such never collide
};

/// `fields`: the object with the fields of the places.
void find_collisions(json::ObjectReader& fields, std::vector<Place> places);

}  // namespace msp
