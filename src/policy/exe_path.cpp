// SPDX-License-Identifier: Apache-2.0
#include "policy/exe_path.h"

#include <functional>

namespace msp::policy {
namespace {

/// Next component that counts; empty at the end. `at_start`: a '.' still says something (a relative path's first one).
std::string_view next_component(std::string_view& rest, bool& at_start) {
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(part.size() < rest.size() ? part.size() + 1 : rest.size());
    const bool counts = !part.empty() && (part != "." || at_start);
    at_start = false;
    if (counts) {
      return part;
    }
  }
  return {};
}

}  // namespace

std::size_t component_hash(std::string_view path) {
  std::size_t hash = path.starts_with('/') ? 1 : 0;
  bool start = true;
  for (auto part = next_component(path, start); !part.empty(); part = next_component(path, start)) {
    // Multiplied by an odd number, so that the order of components counts.
    hash = hash * 0x9e3779b97f4a7c15U + std::hash<std::string_view>()(part);
  }
  return hash;
}

bool same_components(std::string_view a, std::string_view b) {
  if (a == b) {
    return true;
  }
  if (a.starts_with('/') != b.starts_with('/')) {
    return false;
  }
  bool start_a = true;
  bool start_b = true;
  for (;;) {
    const std::string_view x = next_component(a, start_a);
    const std::string_view y = next_component(b, start_b);
    if (x != y) {
      return false;
    }
    if (x.empty()) {
      return true;
    }
  }
}

}  // namespace msp::policy
