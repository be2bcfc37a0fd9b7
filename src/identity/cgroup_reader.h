// SPDX-License-Identifier: Apache-2.0
// From the id of a cgroup, as kernel records have it, to its path in the unified hierarchy.
// Owned by the assembly, called on the control thread; blocks for a few system calls. A fake stands in
// cgroups_test.cpp. A cgroup that is no more is a value; an Error means that nothing can be known now, and says what to
// do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace msp::identity {

class CgroupReader {
 public:
  virtual ~CgroupReader() = default;
  /// The path from the reference cgroup, which is "/"; "" if it is outside that one; none: there is no such cgroup.
  virtual Result<std::optional<std::string>> path_of(std::uint64_t id) = 0;
  /// Whether the reference cgroup holds anything that looks like systemd's.
  virtual bool has_units() = 0;
};

/// Asks the cgroup file system by file handle, which is the id itself; no name that a process chooses takes part. Needs
/// CAP_DAC_READ_SEARCH.
class KernelCgroups final : public CgroupReader {
 public:
  /// `reference`: a directory of the unified hierarchy.
  explicit KernelCgroups(std::string reference) : reference_(std::move(reference)) {}
  Result<std::optional<std::string>> path_of(std::uint64_t id) override;
  bool has_units() override;

 private:
  std::string reference_;
};

}  // namespace msp::identity
