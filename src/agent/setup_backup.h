// SPDX-License-Identifier: Apache-2.0
// Where setup keeps a backup: it is made beside its place, and the one of before goes from beside it, so that under its
// name is always a whole one.
// One call after another on the main thread of a command; everything blocks on the disk.
// An Error names the file or folder. What an interruption leaves beside the place is put right by settle_backup(), or
// removed by the next backup.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace msp::agent {

/// Who was interrupted while the new one took its place left none there: the one of before comes back.
Result<void> settle_backup(const std::string& backup);

/// Where the next one is made.
std::string unfinished_backup(const std::string& backup);
/// An empty one, with this folder in it.
Result<void> begin_backup(const std::string& backup, std::string_view package);
/// It takes its place, and the one of before goes.
Result<void> finish_backup(const std::string& backup);
void abandon_backup(const std::string& backup);

/// With all that is beside it; none is success.
Result<void> remove_backup(const std::string& backup);

}  // namespace msp::agent
