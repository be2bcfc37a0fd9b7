// SPDX-License-Identifier: Apache-2.0
// Loads the programs and attaches them through pinned links: the part of Interceptor that talks to libbpf.
// Used by Interceptor only; control thread. Errors carry libbpf's own last words.
#pragma once

#include <linux/bpf.h>

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "intercept/pins.h"

namespace msp::intercept {

struct Link {
  std::string name;
  Fd fd;
};
struct Map {
  std::string name;
  Fd fd;
};

/// What stays open after loading; the programs live on in their links.
struct Hooks {
  bool adopted = false;  ///< maps of an earlier run were there
  Fd settings;
  Fd counters;
  Fd own_sockets;
  Fd read_file;  ///< none: the kernel has no programs that user space runs (before 5.14)
  std::vector<Link> links;
  std::vector<Map> maps;  ///< all that are pinned
};

/// What the kernel says of a link; none: it cannot be asked.
std::optional<bpf_link_info> link_info(int link_fd);

/// As check_takeover(), for the programs that load_and_attach() would bring. Changes nothing.
Result<bool> check_pinned(const Pins& pins);

/// Gives links that are attached, and maps, the pins that somebody has taken away. What stands in such a place stays.
/// True: there were such.
Result<bool> pin_again(const Pins& pins, const Hooks& hooks);

/// Attaches to `cgroup`, the record's answer to `agent_cgroup` (directories of the unified hierarchy).
Result<Hooks> load_and_attach(const Pins& pins, const std::string& cgroup, const std::string& agent_cgroup);

}  // namespace msp::intercept
