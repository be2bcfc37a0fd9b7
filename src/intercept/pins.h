// SPDX-License-Identifier: Apache-2.0
// The directory of pinned links and maps in a bpf file system: layout and checks.
// Used by Interceptor and uninstall() only; control thread.
// Errors name the directory and the remedy; nothing is removed except by uninstall().
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace msp::intercept {

/// The hint to an EPERM of bpf().
inline constexpr std::string_view kPrivileges = "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, outside of containers";

class Pins {
 public:
  /// Makes the directory (owner only) if it is not there. It must lie on a bpf file system and be ours alone:
  /// whoever may write to it could put in links and maps of his own.
  static Result<Pins> open(const std::string& directory);

  const std::string& directory() const { return directory_; }
  std::string links() const { return directory_ + "/links"; }
  std::string link(const std::string& name) const { return links() + "/" + name; }
  std::string map(const std::string& name) const { return directory_ + "/maps/" + name; }

 private:
  explicit Pins(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_;
};

/// Held by a running agent for as long as the descriptor is open: two agents with the same pins would take each other's
/// hooks away. Makes the directory like Pins::open(). EBUSY: another agent runs.
Result<Fd> lock_pins(const std::string& directory);

/// Whether an earlier run, or one that runs, has left links there. True also where that cannot be read.
bool any_link_pinned(const std::string& directory);

/// True if `path` (or, if it does not exist, its parent) lies on a bpf file system.
bool on_bpf_file_system(const std::string& path);

}  // namespace msp::intercept
