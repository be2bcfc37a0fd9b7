// SPDX-License-Identifier: Apache-2.0
// Units, cgroups and containers of callers, for rules that ask for them: a bounded cache from the id in a record to the
// place. CgroupTable: an immutable snapshot, any thread. Cgroups: one owner on the control thread; look_up() blocks on
// files. What cannot be looked up matches nothing. A cached place stays true: the id is 64 bits wide, its upper half a
// generation, so that the kernel gives none twice, and directories of the unified hierarchy cannot be renamed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "identity/cgroup_place.h"
#include "identity/cgroup_reader.h"

namespace msp::identity {

class CgroupTable {
 public:
  enum class Found : std::uint8_t {
    kUnknown,  ///< has to be asked for
    kPlace,
    kGone,    ///< there is no such cgroup any more
    kFailed,  ///< could not be looked up; will be tried again after a while
  };
  struct Entry {
    Found found = Found::kGone;
    std::shared_ptr<const CgroupPlace> place;
  };
  using Entries = std::unordered_map<std::uint64_t, Entry>;
  CgroupTable() = default;
  /// A copy of another process's table.
  CgroupTable(Entries entries, std::uint64_t ticket, bool idle)
      : entries_(std::move(entries)), ticket_(ticket), idle_(idle) {}

  /// With kPlace, `place` is set.
  Found find(std::uint64_t id, std::shared_ptr<const CgroupPlace>& place) const;
  /// Rules ask for none of this: nobody needs to look.
  bool idle() const { return idle_; }
  std::size_t size() const { return entries_.size(); }
  /// All that was asked with this ticket, or an earlier one, has been looked up, though it may have been forgotten.
  std::uint64_t ticket() const { return ticket_; }
  const Entries& entries() const { return entries_; }

 private:
  friend class Cgroups;
  Entries entries_;
  std::uint64_t ticket_ = 0;
  bool idle_ = true;
};

class Cgroups {
 public:
  static constexpr std::size_t kMost = 1024;

  /// `reader` must outlive this.
  explicit Cgroups(CgroupReader& reader) : reader_(reader) {}

  /// What rules ask for now. Where they ask for units and there are none, the log says so.
  void want(bool places, bool units);
  /// Nothing is done for an id that is known, or while rules ask for no places.
  void look_up(std::uint64_t id, std::uint64_t ticket);
  /// What failed may be asked for again; true if that changed the table.
  bool forget_failures();
  std::shared_ptr<const CgroupTable> table() const { return std::make_shared<const CgroupTable>(table_); }

 private:
  void complain(const Error& error);

  CgroupReader& reader_;
  CgroupTable table_;
  std::deque<std::uint64_t> order_;  ///< of the entries, oldest first
  bool units_wanted_ = false;
  std::string complaint_;  ///< said once
};

}  // namespace msp::identity
