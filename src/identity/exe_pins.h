// SPDX-License-Identifier: Apache-2.0
// Which of the paths that rules name is a caller's executable? Held files answer (design.md section 3): each path is
// opened in the reference root and kept open, so that the kernel's inode behind it can become nobody else's. PinTable:
// an immutable snapshot, any thread. ExePins: one owner on the control thread; refresh() blocks on files. What cannot
// be opened or looked at is not pinned and matches nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "identity/kernel_file.h"

namespace msp::identity {

/// One file that a rule's path is, or was before an upgrade that left old daemons running.
struct Pin {
  std::uint64_t inode = 0;
  std::uint64_t since_ns = 0;      ///< CLOCK_BOOTTIME; held from before then on
  std::shared_ptr<const Fd> held;  ///< by every table that names it; null: by whom the table was copied from
};

class PinTable {
 public:
  struct Entry {
    std::string path;  ///< as the rule has it
    Pin pin;
  };
  PinTable() = default;
  /// A copy of another process's table, whose pins that one holds as long as this is asked.
  PinTable(std::vector<Entry> entries, std::uint64_t ticket, bool idle)
      : entries_(std::move(entries)), ticket_(ticket), idle_(idle) {}

  enum class Found : std::uint8_t {
    kNone,    ///< no rule's path is this executable, as far as the table knows
    kPinned,  ///< one is, and was held before the record was taken
    kYoung,   ///< one seems to be, but its pin is younger than the record: the inode may have been another's then
  };
  /// `inode` and `time_ns` of a record; with kPinned the rules' paths are appended to `paths`, all that are this file.
  Found find(std::uint64_t inode, std::uint64_t time_ns, std::vector<std::string>& paths) const;
  /// Rules name no executable: nobody needs to look.
  bool idle() const { return idle_; }
  std::size_t size() const { return entries_.size(); }
  /// All that was asked with this ticket, or an earlier one, has been looked at.
  std::uint64_t ticket() const { return ticket_; }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  friend class ExePins;
  std::vector<Entry> entries_;
  std::uint64_t ticket_ = 0;
  bool idle_ = true;
};

/// The regular file that a rule's path means below `root`; none: no process is ever known by this path. `..` and magic
/// links lead nowhere.
Fd open_rule_path(const Fd& root, const std::string& path);

class ExePins {
 public:
  static constexpr std::size_t kKeptPerPath = 4;

  /// `root`: the directory that stands for "/" ("/proc/1/root"). `files` must outlive this.
  ExePins(KernelFiles& files, std::string root) : files_(files), root_(std::move(root)) {}

  /// The paths that rules name now, each once. Others are let go; refresh() pins what is new.
  void want(const std::vector<std::string>& paths);
  /// Opens every path again and pins what is new behind it; true if that changed the table.
  bool refresh();
  /// What is pinned now; answers for what was asked up to `ticket` if refresh() came later.
  std::shared_ptr<const PinTable> table(std::uint64_t ticket) const;

 private:
  struct Wanted {
    std::string path;
    std::deque<Pin> pins;  ///< newest first
  };
  Result<Fd> open_root() const;
  bool pin(Wanted& wanted, Fd file);
  void complain(const Error& error);

  KernelFiles& files_;
  std::string root_;
  std::vector<Wanted> wanted_;
  std::string complaint_;  ///< said once
};

}  // namespace msp::identity
