// SPDX-License-Identifier: Apache-2.0
// `msp-agent setup`: the agent on systems without packages, with the commands of the field's setup tool (protocol.md
// H.8). One object a command, main thread, blocks on disks and on systemctl. Where a package owns the files everything
// that would change them is refused. An Error means: not done; the gate never opens on the way to one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config.h"
#include "agent/setup_files.h"
#include "base/result.h"

namespace msp::agent {

struct SetupOptions {
  std::string root;  ///< of the system to work on; empty: this machine, whose service is started and stopped as well
  std::optional<std::string> bundle;  ///< default: where this program lies
  std::optional<std::string> config;  ///< that says where the hooks are pinned; default: the root's
};

class Setup {
 public:
  explicit Setup(SetupOptions options);

  /// Files, unit enabled, service (re)started: connects wait meanwhile. A configuration that is there stays. The
  /// field's agent, where it is, goes.
  Result<void> install() const;
  /// What is installed, ours or the field's, into the bundle's ProxyAgent/Backup. The one of before goes when the new
  /// one is there; where a needed file is not installed it stays, and that is told and no Error.
  Result<void> backup() const;
  /// Back to the backup, ours or the field's; no backup is success.
  Result<void> restore(bool delete_backup) const;
  /// The backup goes.
  Result<void> purge() const;

  enum class Extent : std::uint8_t { kService, kPackage, kState };
  /// Service stopped, hooks gone, units gone; kPackage: programs and configuration as well; kState: keys, rules, logs
  /// and the mark that this machine was latched as well.
  Result<void> uninstall(Extent extent) const;

  /// If another agent has taken the existing agent's name: our service stops, the hooks go, and its unit is started. If
  /// the name is ours again after that (the extension restored its backup), ours is started again.
  Result<void> yield() const;
  /// Asked before each start of our service. False: there is another agent, and the unit that yields to it was started.
  bool may_start() const;

 private:
  Result<void> refuse_package() const;
  Result<std::string> bundle() const;
  Result<void> deploy(const std::string& folder, std::string_view package, bool with_config) const;
  /// What is needed and not installed.
  Result<std::vector<std::string>> copy_installed(const std::string& to) const;
  Result<void> may_make_room() const;
  Result<void> restore_field(const std::string& folder) const;
  Result<void> remove_field_service() const;
  Result<void> give_way() const;
  Result<void> come_back() const;
  Result<void> start_other() const;
  /// Files that an uninstallation of this extent removes; not the state.
  std::vector<std::string_view> removed(Extent extent) const;
  Result<void> stop_ours() const;
  Result<void> remove_hooks() const;
  Result<void> remove_units() const;
  Result<void> start(std::string_view unit) const;
  std::optional<Config> config_of_state() const;
  Result<void> remove_state(const std::optional<Config>& config) const;

  SetupOptions options_;
  Root root_;
  bool managed_;  ///< systemd runs here, and is this root's
};

}  // namespace msp::agent
