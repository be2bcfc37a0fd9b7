// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_place.h"

#include <algorithm>
#include <array>

namespace msp::identity {
namespace {

constexpr std::size_t kIdDigits = 64;
constexpr std::array<std::string_view, 5> kUnitSuffixes = {".service", ".scope", ".socket", ".mount", ".swap"};
/// Not any prefix: "libpod-conmon-<id>.scope" holds the container's monitor, which runs on the host.
constexpr std::array kRuntimes = {std::string_view("docker-"), std::string_view("cri-containerd-"),
                                  std::string_view("crio-"), std::string_view("libpod-"), std::string_view("nerdctl-")};
/// Where runtimes put containers without asking systemd. Not any directory: one that somebody was given would do.
constexpr std::array kParents = {std::string_view("docker"), std::string_view("libpod_parent"),
                                 std::string_view("kubepods"), std::string_view("burstable"),
                                 std::string_view("besteffort")};

bool ends_as_unit(std::string_view component) {
  return std::ranges::any_of(kUnitSuffixes, [&](std::string_view suffix) {
    return component.size() > suffix.size() && component.ends_with(suffix);
  });
}

/// systemd puts a '_' before names that would look like the kernel's own files, and before names that begin with it.
std::string_view unescaped(std::string_view component) {
  return component.starts_with('_') ? component.substr(1) : component;
}

bool is_id(std::string_view text) {
  return text.size() == kIdDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// The id in "docker-<id>", or nothing.
std::string_view id_behind_runtime(std::string_view name) {
  for (const std::string_view runtime : kRuntimes) {
    if (name.starts_with(runtime) && is_id(name.substr(runtime.size()))) {
      return name.substr(runtime.size());
    }
  }
  return {};
}

std::string_view container_of_unit(std::string_view unit) {
  constexpr std::string_view kScope = ".scope";
  return unit.ends_with(kScope) ? id_behind_runtime(unit.substr(0, unit.size() - kScope.size())) : std::string_view();
}

bool may_hold_containers(std::string_view component) {
  return std::ranges::find(kParents, component) != kParents.end() || component.starts_with("pod");
}

std::string_view next_component(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
  const std::string_view component = rest.substr(0, rest.find('/'));
  rest.remove_prefix(component.size());
  return component;
}

}  // namespace

CgroupPlace place_in(std::string path) {
  CgroupPlace out;
  std::string_view rest = path;
  bool slices_only = true;
  // Down to the first cgroup that a manager gave to somebody: below it, names are that one's choice.
  for (std::string_view component = next_component(rest); !component.empty(); component = next_component(rest)) {
    if (component.ends_with(".slice")) {
      continue;
    }
    if (slices_only && ends_as_unit(component)) {
      out.unit = unescaped(component);
      out.container = container_of_unit(out.unit);
      break;
    }
    if (!slices_only) {
      out.container = is_id(component) ? component : id_behind_runtime(component);
    }
    if (!out.container.empty() || !may_hold_containers(component)) {
      break;
    }
    slices_only = false;
  }
  out.path = std::move(path);
  return out;
}

bool is_at_or_below(std::string_view path, std::string_view ancestor) {
  return ancestor == "/" ||
         (path.starts_with(ancestor) && (path.size() == ancestor.size() || path[ancestor.size()] == '/'));
}

}  // namespace msp::identity
