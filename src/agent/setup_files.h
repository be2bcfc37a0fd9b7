// SPDX-License-Identifier: Apache-2.0
// What setup puts where, copies of it, and whose the existing agent's name is (protocol.md H.8).
// One call after another on the main thread of a command; everything blocks on the disk.
// Sources must be root's (or the caller's) and not writable by others; each file is replaced as a whole, and of those
// that go together all or, where a copy fails, none. An Error names the file, and what was done before it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace msp::agent {

/// One file. In a bundle the package part lies in ProxyAgent/, in a backup in Package/; the rest beside that folder.
struct SetupFile {
  std::string_view name;
  std::string_view target;  ///< absolute, below the root
  mode_t mode;
  bool in_package;
  bool needed;  ///< without it there is nothing to install
};

inline constexpr std::string_view kOurProgram = "/usr/sbin/msp-agent";
inline constexpr std::string_view kWorkerProgram = "/usr/libexec/openmsp/msp-worker";
inline constexpr std::string_view kFieldProgram = "/usr/sbin/azure-proxy-agent";
inline constexpr std::string_view kConfigFile = "/etc/azure/proxy-agent.json";
inline constexpr std::string_view kFieldUnitFile = "/usr/lib/systemd/system/azure-proxy-agent.service";

/// All that is ours but the configuration.
std::span<const SetupFile> our_files();
/// The field's agent, but the configuration.
std::span<const SetupFile> field_files();
const SetupFile& config_file();
/// Read by systemd or by one of its tools.
bool is_unit(const SetupFile& file);

/// The paths below one root directory ("" : the machine's own).
class Root {
 public:
  explicit Root(std::string directory);
  bool is_machine() const { return directory_.empty(); }
  const std::string& directory() const { return directory_; }
  std::string path(std::string_view target) const { return directory_ + std::string(target); }

  /// Whose program has the existing agent's name. What cannot be told (missing, unreadable, empty) is kNobody's.
  enum class Holder : std::uint8_t { kNobody, kOurs, kAnother };
  Holder field_name_holder() const;

  bool has(std::string_view target) const;
  /// Copies to a name beside the target, which is returned. Makes missing directories; follows links of directories as
  /// long as they stay below the root. An Error, too, where the copy could not take the target's place.
  Result<std::string> stage(const std::string& source, const SetupFile& file) const;
  /// An Error where the target is there and could be neither replaced nor removed: a directory, a mount, attributes of
  /// file or folder, a folder that cannot be written.
  Result<void> changeable(std::string_view target) const;
  /// The same of a target that need not be there: what is missing of its folders is to be made.
  Result<void> creatable(std::string_view target) const;
  /// A missing file is success.
  Result<void> remove(std::string_view target) const;

 private:
  Result<std::string> real(std::string_view target) const;
  std::string directory_;
};

/// Files that are installed together: each is copied beside its place, and only when all are there they take it. What
/// has not taken its place goes with this.
class Installation {
 public:
  explicit Installation(const Root& root) : root_(root) {}
  Installation(const Installation&) = delete;
  Installation& operator=(const Installation&) = delete;
  ~Installation();

  Result<void> add(const std::string& source, const SetupFile& file);
  /// Of each of these files of the folder that is there.
  Result<void> add_all(const std::string& folder, std::string_view package, std::span<const SetupFile> files);
  /// Once. An Error says which are new already.
  Result<void> finish();

 private:
  const Root& root_;
  std::vector<std::string> targets_;
  std::size_t placed_ = 0;  ///< of the targets, the first
};

/// Copies the target to `to` (mode kept as in the table); true if it was there.
Result<bool> copy_out(const Root& root, std::string_view target, const std::string& to, mode_t mode);

/// A missing one is success.
Result<void> remove_tree(const std::string& path);

/// Where `file` lies below a bundle or a backup, whose package part is called `package`.
std::string source_path(const std::string& folder, std::string_view package, const SetupFile& file);

}  // namespace msp::agent
