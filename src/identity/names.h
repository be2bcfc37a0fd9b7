// SPDX-License-Identifier: Apache-2.0
// Names of user and group ids, as immutable snapshots, and the thread that keeps them fresh.
// NameTable: any thread. NameResolver: owned by the assembly; want_*() from any thread, the callback on its own thread.
// A look-up that fails or has not come back is "no name", and no name matches nothing; numeric ids are always there.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "base/fd.h"
#include "base/result.h"

namespace msp::identity {

class NameTable {
 public:
  /// Empty if the id has no name.
  std::string_view user(std::uint32_t uid) const { return find(users_, uid); }
  std::string_view group(std::uint32_t gid) const { return find(groups_, gid); }
  /// True also for an id that is known to have no name.
  bool has_user(std::uint32_t uid) const { return users_.contains(uid); }
  bool has_group(std::uint32_t gid) const { return groups_.contains(gid); }

  /// The first name of an id wins, as in getpwuid.
  void add_user(std::uint32_t uid, std::string_view name) { users_.try_emplace(uid, name); }
  void add_group(std::uint32_t gid, std::string_view name) { groups_.try_emplace(gid, name); }
  using Names = std::unordered_map<std::uint32_t, std::string>;
  const Names& users() const { return users_; }
  const Names& groups() const { return groups_; }
  bool operator==(const NameTable&) const = default;

 private:
  static std::string_view find(const Names& names, std::uint32_t id) {
    const auto it = names.find(id);
    return it == names.end() ? std::string_view() : std::string_view(it->second);
  }
  Names users_;
  Names groups_;
};

/// All users and groups that the system's name services enumerate (getpwent, getgrent). Blocks; not re-entrant.
NameTable enumerate_names();

class NameResolver {
 public:
  using Publish = std::function<void(std::shared_ptr<const NameTable>)>;

  /// `time_to_live_ms`: how long a name (or its absence) is believed. `publish` is called on the resolver's thread,
  /// first soon after the start and then whenever the table has changed.
  static Result<std::unique_ptr<NameResolver>> start(std::uint32_t time_to_live_ms, Publish publish);
  /// For start(), which makes the pipe.
  NameResolver(Fd read_end, Fd write_end, std::uint32_t time_to_live_ms, Publish publish);
  NameResolver(const NameResolver&) = delete;
  NameResolver& operator=(const NameResolver&) = delete;
  /// Waits for a look-up in progress.
  ~NameResolver();

  /// Asks for an id that the table does not hold. Never blocks; dropped when too many are waiting.
  void want_user(std::uint32_t uid);
  void want_group(std::uint32_t gid);

 private:
  void run();
  void want(std::uint32_t id, bool group);

  Fd read_end_;
  Fd write_end_;
  std::uint32_t time_to_live_ms_;
  Publish publish_;
  std::thread thread_;
};

}  // namespace msp::identity
