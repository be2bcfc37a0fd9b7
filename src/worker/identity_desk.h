// SPDX-License-Identifier: Apache-2.0
// What the data path has to know about callers besides their record: names, held executables and places of cgroups, as
// the monitor sends them, and the asking for what is missing.
// Owned by the worker, on its loop's thread. A caller that stays unknown costs one message, not one a connection.
// Nothing fails: what is not known matches nothing; a wish that cannot be sent is made again by the next caller.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_set>

#include "identity/source.h"
#include "link/message.h"

namespace msp::worker {

class IdentityDesk {
 public:
  using Send = std::function<bool(const link::ToMonitor&)>;
  explicit IdentityDesk(Send send);
  IdentityDesk(const IdentityDesk&) = delete;
  IdentityDesk& operator=(const IdentityDesk&) = delete;

  identity::IdentitySource& source() { return source_; }
  void give_tickets_from(std::uint64_t first) { executables_ticket_ = places_ticket_ = first; }
  void take(const link::Names& names);
  void take(link::Pins pins);
  void take(link::Places places);

 private:
  void want_name(std::uint32_t id, bool group);
  std::uint64_t want_executables();
  std::uint64_t want_place(std::uint64_t cgroup);
  void ask_for_executables();

  Send send_;
  identity::SocketIdentitySource source_;
  std::unordered_set<std::uint64_t> names_asked_;  ///< since the last table
  std::uint64_t executables_ticket_ = 0;           ///< the newest that was given out
  std::uint64_t executables_asked_ = 0;            ///< that the monitor works on; 0: none
  std::uint64_t places_ticket_ = 0;
};

}  // namespace msp::worker
