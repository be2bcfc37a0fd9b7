// SPDX-License-Identifier: Apache-2.0
// Keys on disk, one file each (protocol.md C.3), and the mark that this machine was latched once (L.30).
// Owned by the channel, on the control thread; every call blocks on the disk.
// A file that is not ours alone (owner, mode, links, type) is refused, never mended; errors never quote a key.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/key.h"

namespace msp::channel {

/// In the state directory: this machine was latched once.
inline constexpr std::string_view kLatchedMark = "ever-latched";

class KeyStore {
 public:
  /// `key_directory`: the field's latchKeyFolder. `state_directory` holds the mark.
  KeyStore(std::string key_directory, std::string state_directory);

  /// Makes both directories where missing (keys: 0700, ours) and checks them.
  Result<void> prepare() const;

  /// True if the mark or any key file exists; also true if that cannot be found out, with the reason in `why`.
  bool ever_latched(std::string& why) const;
  /// Durable before success is reported.
  Result<void> mark_latched() const;
  /// The mark is there, a file and nothing else, or it cannot be told.
  bool is_marked() const;

  /// What a restart would find of a key in use: an error where it would not find it.
  Result<void> check(std::string_view guid, const Secret& bytes) const;
  /// ENOENT if there is none. Like save(): nothing where the directory is not as prepare() wants it. `guid` comes from
  /// the host: anything but GUID syntax is refused (L.11).
  Result<protocol::KeyDocument> load(std::string_view guid) const;
  /// For people, where a key is not there: which keys are, and what may have happened to the disk.
  std::string what_is_there() const;
  /// Writes the file (0600, atomic, durable), reads it back and compares. A good file of this id that holds another key
  /// stays as it is: EEXIST.
  Result<void> save(const protocol::KeyDocument& key) const;
  /// Removes the oldest key files beyond the newest few, never that of `keep`, and what crashes left half written.
  /// Errors are ignored: garbage, no danger; the next time removes it.
  void prune(std::string_view keep) const;
  /// Likewise, the file of one id.
  void remove(std::string_view guid) const;
  /// For messages.
  std::string path_of(std::string_view guid) const;

 private:
  Result<void> check_directory() const;
  std::string mark_path() const;

  std::string key_directory_;
  std::string state_directory_;
};

}  // namespace msp::channel
