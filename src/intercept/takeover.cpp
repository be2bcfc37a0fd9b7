// SPDX-License-Identifier: Apache-2.0
#include "intercept/takeover.h"

#include <bpf/bpf.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "bpf/contract.h"
#include "intercept/attach_points.h"

namespace msp::intercept {
namespace {

constexpr ContractVersion kOurs{
    .version = MSP_CONTRACT_VERSION, .takes_from = MSP_CONTRACT_TAKES_FROM, .leaves_to = MSP_CONTRACT_LEAVES_TO};

/// What must be equal for two programs to share a map.
struct MapShape {
  std::uint32_t type = 0;
  std::uint32_t key_size = 0;
  std::uint32_t value_size = 0;
  std::uint32_t max_entries = 0;
  std::uint32_t flags = 0;
  bool operator==(const MapShape&) const = default;
};

std::string text_of(const MapShape& shape) {
  return fmt::format("type {}, {} places of {} + {} bytes, flags {:#x}", shape.type, shape.max_entries, shape.key_size,
                     shape.value_size, shape.flags);
}

struct PinnedMap {
  Fd fd;
  MapShape shape;
};

Error refusal(std::string what) {
  return config_error(std::move(what) + "; they stay as they are: what is guarded stays shut",
                      "install the version that made them again; or start this one after a reboot, or after 'msp-agent "
                      "uninstall', which leaves metadata unguarded until then");
}

/// None: nothing of that name is pinned.
Result<std::optional<PinnedMap>> open_map(const std::string& path) {
  PinnedMap out{.fd = Fd(::bpf_obj_get(path.c_str())), .shape = {}};
  if (!out.fd) {
    if (errno == ENOENT) {
      return std::optional<PinnedMap>();
    }
    Error error = errno_error(fmt::format("cannot open {}", path));
    error.hint = std::string(kPrivileges);
    return error;
  }
  bpf_map_info info{};
  __u32 size = sizeof(info);
  if (::bpf_obj_get_info_by_fd(out.fd.get(), &info, &size) != 0) {
    return errno_error(fmt::format("cannot look at {}", path));
  }
  out.shape = {.type = info.type,
               .key_size = info.key_size,
               .value_size = info.value_size,
               .max_entries = info.max_entries,
               .flags = info.map_flags};
  return std::optional(std::move(out));
}

/// None: never set, an earlier start died in between; maps and links decide alone.
Result<std::optional<ContractVersion>> version_in(const PinnedMap& settings, const std::string& path) {
  constexpr std::size_t kLeast = offsetof(msp_settings, leaves_to) + sizeof(msp_settings::leaves_to);
  if (settings.shape.key_size != sizeof(std::uint32_t) || settings.shape.value_size < kLeast) {
    return refusal(fmt::format("{} belongs to no version of this program", path));
  }
  std::vector<std::uint8_t> value(settings.shape.value_size);
  const std::uint32_t key = 0;
  if (::bpf_map_lookup_elem(settings.fd.get(), &key, value.data()) != 0) {
    return std::optional<ContractVersion>();
  }
  ContractVersion out;
  std::memcpy(&out.version, value.data() + offsetof(msp_settings, version), sizeof(out.version));
  std::memcpy(&out.leaves_to, value.data() + offsetof(msp_settings, leaves_to), sizeof(out.leaves_to));
  return std::optional(out);
}

/// A hook of another version that this one does not know could not be told what to do, nor is it ours to take away.
Result<void> check_links(const Pins& pins) {
  std::error_code failed;
  std::filesystem::directory_iterator links(pins.links(), failed);
  for (; !failed && links != std::filesystem::directory_iterator(); links.increment(failed)) {
    const std::string pinned = links->path().filename().string();
    std::string_view name = pinned;
    if (name.ends_with(kFreshLink)) {
      name.remove_suffix(std::string_view(kFreshLink).size());
    }
    if (std::ranges::none_of(kAttachPoints, [name](const AttachPoint& point) { return name == point.link; })) {
      return refusal(fmt::format("the hook {} is none of this program's (contract version {})", links->path().string(),
                                 MSP_CONTRACT_VERSION));
    }
  }
  return failed ? errno_error(fmt::format("cannot look at {}", pins.links()), failed.value()) : Result<void>();
}

}  // namespace

bool may_take_over(const ContractVersion& program, const ContractVersion& pinned) {
  return pinned.version <= program.version ? pinned.version >= program.takes_from : program.version >= pinned.leaves_to;
}

Result<bool> check_takeover(const Pins& pins, const bpf_object* object) {
  const std::string path = pins.map("settings");
  auto settings = open_map(path);
  if (!settings) {
    return std::move(settings).error();
  }
  if (*settings) {
    auto version = version_in(**settings, path);
    if (!version) {
      return std::move(version).error();
    }
    if (*version && !may_take_over(kOurs, **version)) {
      return refusal(
          fmt::format("the hooks below {} belong to contract version {}, which this program, of version {}, "
                      "may not take over",
                      pins.directory(), (*version)->version, MSP_CONTRACT_VERSION));
    }
  }
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__is_internal(map)) {
      continue;
    }
    auto pinned = open_map(pins.map(bpf_map__name(map)));
    if (!pinned) {
      return std::move(pinned).error();
    }
    const MapShape needed{.type = bpf_map__type(map),
                          .key_size = bpf_map__key_size(map),
                          .value_size = bpf_map__value_size(map),
                          .max_entries = bpf_map__max_entries(map),
                          .flags = bpf_map__map_flags(map)};
    if (*pinned && (*pinned)->shape != needed) {
      return refusal(
          fmt::format("the hooks' map {} is not the one of this program (contract version {}): {}, needed {}",
                      pins.map(bpf_map__name(map)), MSP_CONTRACT_VERSION, text_of((*pinned)->shape), text_of(needed)));
    }
  }
  if (auto known = check_links(pins); !known) {
    return std::move(known).error();
  }
  return settings->has_value();
}

Result<void> check_alone(const Pins& pins, const std::string& link, int cgroup, const bpf_program* program) {
  if (::access(pins.link(link).c_str(), F_OK) == 0) {
    return {};
  }
  std::array<__u32, 64> ids{};  // as many as one cgroup may have
  __u32 count = ids.size();
  if (::bpf_prog_query(cgroup, bpf_program__expected_attach_type(program), 0, nullptr, ids.data(), &count) != 0) {
    Error error = errno_error("cannot ask which programs hang on the cgroup");
    error.hint = std::string(kPrivileges);
    return error;
  }
  for (const __u32 id : std::span(ids).first(std::min<std::size_t>(count, ids.size()))) {
    const Fd fd(::bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    if (fd && ::bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 &&
        std::string_view(static_cast<const char*>(info.name)) == bpf_program__name(program)) {
      return Error{
          .source = Source::kConfig,
          .message = fmt::format("hooks that are not pinned in {} guard this cgroup already", pins.directory()),
          .hint =
              "if bpfPinDirectory was changed, put it back, or run 'msp-agent uninstall' with the "
              "configuration of before; agents side by side need a cgroup each",
          .code = EBUSY};
    }
  }
  return {};
}

Result<void> claim(int settings_map) {
  const std::uint32_t key = 0;
  msp_settings value{};
  if (::bpf_map_lookup_elem(settings_map, &key, &value) != 0) {
    return errno == ENOENT ? Result<void>() : errno_error("cannot read what the hooks guard");
  }
  value.version = MSP_CONTRACT_VERSION;
  value.leaves_to = MSP_CONTRACT_LEAVES_TO;
  if (::bpf_map_update_elem(settings_map, &key, &value, BPF_EXIST) != 0) {
    return errno_error("cannot note whose hooks they are");
  }
  return {};
}

}  // namespace msp::intercept
