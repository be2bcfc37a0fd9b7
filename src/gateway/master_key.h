// SPDX-License-Identifier: Apache-2.0
// The key that seals all others, and where it comes from: a credential of the service manager, or a file.
// Stateless; at start, blocks on the disk. The key is 64 hex digits, in a file that only this user (or root) could
// write and read; what is not that is an error that names the place, never another place's key instead.
#pragma once

#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "gateway/config.h"

namespace msp::gateway {

/// Name of the credential in the service manager's directory of them.
inline constexpr std::string_view kMasterCredential = "master-key";

/// True where there is no database yet, and so a master key may be made. Where that cannot be told it may not: what a
/// new one has sealed the old one would not open. One that was there and is gone is an error: to begin anew would be to
/// issue keys a second time.
Result<bool> is_first_start(const std::string& database);

/// Called once the start has come so far that there is something to lose.
Result<void> mark_started(const std::string& database);
/// True where the file is there and nothing was ever written to it, nor to its log.
bool is_blank_database(const std::string& database);

/// The credential where there is one, else the configuration's file. `may_create` is of the file alone.
Result<Secret> load_master_key(const Config& config, bool may_create);
/// Of a file. Made when there is none and `may_create`.
Result<Secret> load_master_key(const std::string& path, bool may_create);

}  // namespace msp::gateway
