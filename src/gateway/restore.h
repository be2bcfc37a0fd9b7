// SPDX-License-Identifier: Apache-2.0
// Puts a backup in the place of the host's database, while no host runs (docs/host-backup.md).
// Main thread, before there is a loop. Models are those of the backup; keys never go back in time.
// Refused: a backup that is damaged, of another program or another master key, that does not fit to the configuration's
// files; a database that a host has open. Nothing has changed then.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "gateway/config.h"

namespace msp::gateway {

struct Restored {
  std::size_t machines = 0;    ///< that the backup, or a file, has
  std::size_t latched = 0;     ///< of them, with a key that holds
  std::size_t raised = 0;      ///< of them, with a keyIncarnationId that was raised since the backup
  std::string why_lost;        ///< why keys could not be taken from the database that was there; empty: they were
  std::string old_database{};  ///< where that one is now; empty: there was none
};

Result<Restored> restore(const Config& config, const std::string& backup);

}  // namespace msp::gateway
