// SPDX-License-Identifier: Apache-2.0
// What setup asks of systemd, of package managers and of the console.
// Blocks until systemctl ends; main thread of a command.
// Errors name the command that failed; nothing is tried twice.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/setup_files.h"
#include "base/result.h"

namespace msp::agent {

/// True if systemd runs this machine and `root` is it.
bool systemd_runs(const Root& root);

/// `systemctl [--root=DIR] WORDS`; any other exit code than 0 is an Error.
Result<void> systemctl(const Root& root, const std::vector<std::string>& words);

/// The same where failure is of no interest: what is to be gone may never have been there.
void systemctl_quietly(const Root& root, const std::vector<std::string>& words);

/// Ours while it is enabled: what is said to the unit of that name is said to ours.
inline constexpr std::string_view kOurAlias = "/etc/systemd/system/azure-proxy-agent.service";

/// An Error where `systemctl enable` of ours, or of the field's unit in its place, could be seen to fail: it is masked,
/// or a link cannot be made. Only looks.
Result<void> may_enable(const Root& root, std::string_view unit);

/// The user as which msp-worker serves, of the sysusers file that is installed. Best effort: without one the worker
/// takes a number that is nobody's. A root without users gets none.
void make_worker_user(const Root& root);

/// An Error with the package's remedy if the system's package manager knows `target` as a file of a package.
Result<void> owned_by_no_package(const Root& root, std::string_view target);

/// True if process 1 sees another root than this process: hooks are not those of the system in here.
bool in_chroot();

/// The field's line on the serial console (protocol.md H.4); best effort.
void say_on_console(std::string_view message);

}  // namespace msp::agent
