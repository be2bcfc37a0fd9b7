// SPDX-License-Identifier: Apache-2.0
#include "base/collisions.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

namespace msp {
namespace {

std::string normal(const std::string& path) {
  std::string out = std::filesystem::path(path).lexically_normal().string();
  if (out.size() > 1 && out.ends_with('/')) {
    out.pop_back();
  }
  return out;
}

/// A file has what would be below it, too: there it could not be.
bool has(const Place& place, std::string_view path) {
  if (!path.starts_with(place.path)) {
    return false;
  }
  path.remove_prefix(place.path.size());
  if (path.empty() || place.extent == Place::Extent::kNames) {
    return true;
  }
  if (place.extent == Place::Extent::kShared) {
    return false;
  }
  if (path.front() == '/' || place.path == "/") {
    return true;
  }
  const std::string_view number = path.substr(1, path.find('/') - 1);
  return place.extent == Place::Extent::kNumbered && path.front() == '.' && !number.empty() &&
         number.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

void find_collisions(json::ObjectReader& fields, std::vector<Place> places) {
  std::erase_if(places, [](const Place& place) { return !place.path.starts_with('/'); });
  for (Place& place : places) {
    place.path = normal(place.path);
  }
  std::vector<std::string_view> told;
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (std::size_t j = 0; j < i && !places[i].field.empty(); ++j) {
      if ((!places[i].written && !places[j].written) ||
          (!has(places[i], places[j].path) && !has(places[j], places[i].path))) {
        continue;
      }
      // At a field that somebody has written: the other may be a default.
      const bool swap = !fields.has(places[i].field) && !places[j].field.empty();
      const Place& at = places[swap ? j : i];
      const Place& other = places[swap ? i : j];
      if (std::ranges::find(told, at.field) == told.end()) {
        told.push_back(at.field);
        fields.fail(at.field, at.path == other.path
                                  ? fmt::format("is the place of {}, too ({})", other.what, at.path)
                                  : fmt::format("collides with {} ({}): what lies within or is rotated counts, too",
                                                other.what, other.path));
      }
    }
  }
}

}  // namespace msp
