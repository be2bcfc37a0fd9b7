// SPDX-License-Identifier: Apache-2.0
#include "intercept/hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <memory>

#include "base/kept_listener.h"
#include "intercept.skel.h"
#include "intercept/attach_points.h"
#include "intercept/cgroup.h"
#include "intercept/hooks_trial.h"
#include "intercept/takeover.h"

namespace msp::intercept {
namespace {

constexpr std::size_t kKeptLog = 2048;

/// libbpf's warnings since the last clear, for the error that follows them.
std::string& last_words() {
  thread_local std::string words;
  return words;
}

int keep_words(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) {
    return 0;
  }
  std::array<char, 1024> line{};
  const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
  std::string& words = last_words();
  if (length > 0 && words.size() < kKeptLog) {
    words += line.data();
  }
  return 0;
}

struct SkeletonDeleter {
  void operator()(intercept_bpf* skeleton) const { intercept_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<intercept_bpf, SkeletonDeleter>;

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using LinkHandle = std::unique_ptr<bpf_link, LinkDeleter>;

Error libbpf_error(std::string_view what, int code) {
  Error error = errno_error(what, code);
  if (!last_words().empty()) {
    error.message += fmt::format(" [{}]", last_words());
    last_words().clear();
  }
  if (code == EPERM) {
    error.hint = std::string(kPrivileges);
  } else if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    error.hint = "the kernel offers no BTF (/sys/kernel/btf/vmlinux): it needs CONFIG_DEBUG_INFO_BTF";
  }
  return error;
}

/// Of a kernel that is too old it is said that it is: its verifier would refuse the programs with many words of its
/// own.
Result<Skeleton> open_programs() {
  if (auto cookie = own_netns_cookie(); !cookie) {
    return std::move(cookie).error();
  }
  libbpf_set_print(keep_words);
  last_words().clear();
  Skeleton skeleton(intercept_bpf__open());
  if (!skeleton) {
    return libbpf_error("cannot open the kernel programs", errno);
  }
  return skeleton;
}

/// Programs that user space runs are from 5.14 on. True: there are.
bool with_what_the_kernel_runs(const Skeleton& skeleton) {
  const bool has = ::libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SYSCALL, nullptr) == 1;
  bpf_program__set_autoload(skeleton->progs.msp_read_file, has);
  return has;
}

Error refused_programs(int code) {
  Error error = libbpf_error("this kernel does not take the programs that guard", code);
  if (error.hint.empty()) {
    error.hint = "Linux 5.15 or newer with BPF, BTF and cgroup v2 is needed; of such a kernel please report this";
  }
  return error;
}

Result<void> load(const Skeleton& skeleton, const Pins& pins) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    // .rodata and the like carry nothing that must outlive us.
    if (bpf_map__is_internal(map)) {
      continue;
    }
    if (const int failed = bpf_map__set_pin_path(map, pins.map(bpf_map__name(map)).c_str()); failed != 0) {
      return libbpf_error("cannot choose a pin", -failed);
    }
  }
  (void)with_what_the_kernel_runs(skeleton);
  if (const int failed = intercept_bpf__load(skeleton.get()); failed != 0) {
    return refused_programs(-failed);
  }
  return {};
}

/// The cgroup that a link is attached to; 0 if its cgroup is gone.
std::uint64_t attached_to(int link_fd) {
  const auto info = link_info(link_fd);
  return info ? info->cgroup.cgroup_id : 0;
}

/// Replaces the program of a link of an earlier run. Null if there is none that can be kept; `stale` then holds what
/// must stay attached until its successor is.
Result<LinkHandle> adopt(const std::string& path, std::uint64_t wanted_cgroup, bpf_program* program,
                         LinkHandle& stale) {
  LinkHandle link(bpf_link__open(path.c_str()));
  if (!link) {
    if (errno == ENOENT) {
      return LinkHandle();
    }
    return libbpf_error(fmt::format("cannot open {}", path), errno);
  }
  if (attached_to(bpf_link__fd(link.get())) != wanted_cgroup) {
    stale = std::move(link);
    return LinkHandle();
  }
  if (const int failed = bpf_link__update_program(link.get(), program); failed != 0) {
    return libbpf_error(fmt::format("cannot replace the program of {}", path), -failed);
  }
  return link;
}

/// Pinned under another name and renamed: at no moment is there none under this one.
Result<void> pin(int fd, const std::string& path) {
  const std::string fresh = path + kFreshLink;
  ::unlink(fresh.c_str());
  if (::bpf_obj_pin(fd, fresh.c_str()) != 0) {
    return libbpf_error(fmt::format("cannot pin {}", fresh), errno);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    return errno_error(fmt::format("cannot pin {}", path));
  }
  return {};
}

Result<Link> attach(const Pins& pins, const std::string& name, bpf_program* program, const Fd& cgroup,
                    std::uint64_t wanted_cgroup) {
  const std::string path = pins.link(name);
  LinkHandle stale;
  auto adopted = adopt(path, wanted_cgroup, program, stale);
  if (!adopted) {
    return std::move(adopted).error();
  }
  LinkHandle link = std::move(*adopted);
  if (!link) {
    link.reset(bpf_program__attach_cgroup(program, cgroup.get()));
    if (!link) {
      return libbpf_error(fmt::format("cannot attach {}", name), errno);
    }
    if (auto pinned = pin(bpf_link__fd(link.get()), path); !pinned) {
      return std::move(pinned).error();
    }
  }
  Link out{.name = name, .fd = Fd(::fcntl(bpf_link__fd(link.get()), F_DUPFD_CLOEXEC, 3))};
  if (!out.fd) {
    return errno_error("cannot keep a link");
  }
  return out;
}

Fd keep(const bpf_program* program) {
  const int fd = bpf_program__fd(program);
  return fd < 0 ? Fd() : Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
}
Fd keep(const bpf_map* map) { return Fd(::fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3)); }

}  // namespace

std::optional<bpf_link_info> link_info(int link_fd) {
  bpf_link_info info{};
  __u32 size = sizeof(info);
  return ::bpf_obj_get_info_by_fd(link_fd, &info, &size) == 0 ? std::optional(info) : std::nullopt;
}

Result<bool> pin_again(const Pins& pins, const Hooks& hooks) {
  const auto missing = [](const std::string& path) { return ::access(path.c_str(), F_OK) != 0 && errno == ENOENT; };
  std::vector<std::pair<int, std::string>> gone;
  const auto attached = [](const Link& link) { return attached_to(link.fd.get()) != 0; };
  if (!std::ranges::any_of(hooks.links, attached)) {
    return false;  // uninstalled: nothing is left to outlive us
  }
  // Maps first: links that are found without them would be taken over with empty ones.
  for (const Map& map : hooks.maps) {
    if (map.fd && missing(pins.map(map.name))) {
      gone.emplace_back(map.fd.get(), pins.map(map.name));
    }
  }
  for (const Link& link : hooks.links) {
    if (attached(link) && missing(pins.link(link.name))) {
      gone.emplace_back(link.fd.get(), pins.link(link.name));
    }
  }
  if (gone.empty()) {
    return false;
  }
  // With its folders, which may be gone as well.
  if (auto made = Pins::open(pins.directory()); !made) {
    return std::move(made).error();
  }
  for (const auto& [fd, path] : gone) {
    if (auto pinned = pin(fd, path); !pinned) {
      return std::move(pinned).error();
    }
  }
  return true;
}

Result<bool> check_pinned(const Pins& pins) {
  auto skeleton = open_programs();
  if (!skeleton) {
    return std::move(skeleton).error();
  }
  return check_takeover(pins, skeleton.value()->obj);
}

Result<Trial> try_programs() {
  auto skeleton = open_programs();
  if (!skeleton) {
    return std::move(skeleton).error();
  }
  const Trial out{.executables = with_what_the_kernel_runs(*skeleton)};
  if (const int failed = intercept_bpf__load(skeleton->get()); failed != 0) {
    return refused_programs(-failed);
  }
  return out;
}

Result<Hooks> load_and_attach(const Pins& pins, const std::string& cgroup, const std::string& agent_cgroup) {
  auto all = open_cgroup(cgroup);
  auto own = open_cgroup(agent_cgroup);
  auto all_id = cgroup_id(cgroup);
  auto own_id = cgroup_id(agent_cgroup);
  if (!all || !own) {
    return std::move(all ? own : all).error();
  }
  if (!all_id || !own_id) {
    return std::move(all_id ? own_id : all_id).error();
  }
  auto skeleton = open_programs();
  if (!skeleton) {
    return std::move(skeleton).error();
  }
  auto adopted = check_takeover(pins, skeleton.value()->obj);
  if (!adopted) {
    return std::move(adopted).error();
  }
  if (auto alone = check_alone(pins, "connect4", all->get(), skeleton.value()->progs.msp_connect4); !alone) {
    return std::move(alone).error();
  }
  if (auto loaded = load(*skeleton, pins); !loaded) {
    return std::move(loaded).error();
  }
  auto& programs = skeleton.value()->progs;
  auto& maps = skeleton.value()->maps;
  Hooks out{.adopted = *adopted,
            .settings = keep(maps.settings),
            .counters = keep(maps.counters),
            .own_sockets = keep(maps.own_sockets),
            .read_file = keep(programs.msp_read_file),
            .links = {},
            .maps = {}};
  if (!out.settings || !out.counters || !out.own_sockets) {
    return errno_error("cannot keep the maps");
  }
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton.value()->obj) {
    if (!bpf_map__is_internal(map)) {
      out.maps.push_back({.name = bpf_map__name(map), .fd = keep(map)});
    }
  }
  // Before the first program changes: a program that does not understand them is refused from here on.
  if (auto claimed = claim(out.settings.get()); !claimed) {
    return std::move(claimed).error();
  }
  for (const AttachPoint& point : kAttachPoints) {
    bpf_program* program = bpf_object__find_program_by_name(skeleton.value()->obj, point.program);
    if (program == nullptr) {
      return bug(fmt::format("there is no program {}", point.program));
    }
    auto link = attach(pins, point.link, program, point.own ? *own : *all, point.own ? *own_id : *all_id);
    if (!link) {
      return std::move(link).error();
    }
    out.links.push_back(std::move(*link));
  }
  return out;
}

}  // namespace msp::intercept
