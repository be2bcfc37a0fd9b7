// SPDX-License-Identifier: Apache-2.0
// A disk after a power loss: replays a journal on a copy of the directory and says what may be left of it.
// For tests; a value, one thread. Only what was synced is certain: bytes of a file by fsync of it, names in a directory
// by fsync of the directory. Of the rest any part may be there.
// A journal that does not fit the directory aborts the test: the layer has missed a call then.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/faults/faults.h"

namespace msp::faults {

/// What of the unsynced is left.
enum class Left : std::uint8_t {
  kNothing,
  kEverything,  ///< as after kill -9
  kNames,       ///< names in directories, but no bytes of files
  kBytes,       ///< bytes of files, but no names in directories
  kSome,        ///< each sector of each write or not, of each directory's changes the first few
};

class CrashDisk {
 public:
  /// Everything that is in `directory` now is on the disk.
  explicit CrashDisk(const std::string& directory);
  CrashDisk(const CrashDisk&) = delete;
  CrashDisk& operator=(const CrashDisk&) = delete;
  ~CrashDisk();

  void apply(const Event& event);
  /// Writes what is left into the empty directory `to`. `random` is used for kSome. `only`: the one directory at the
  /// top that is on the machine without power; empty: all is.
  void leave(const std::string& to, Left left, std::minstd_rand& random, const std::string& only = {}) const;
  /// Unsynced writes and changes of names: 0 means that every kind of loss leaves the same.
  std::size_t unsynced() const;

 private:
  struct File;
  struct Directory;
  struct Node;
  struct Open;

  std::shared_ptr<Node> find(const std::string& path) const;
  Directory& parent_of(const std::string& path, std::string& name) const;
  void open(const Event& event);
  void write(const Event& event);
  void rename(const Event& event);
  static void leave(const Node& node, const std::string& to, Left left, std::minstd_rand& random);

  std::shared_ptr<Node> root_;
  std::map<int, Open> open_;
};

}  // namespace msp::faults
