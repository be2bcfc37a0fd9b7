// SPDX-License-Identifier: Apache-2.0
// Files that are trusted or secret: read with checks, replaced atomically, directories with known owner and mode.
// Any thread but a data loop: everything here blocks. Checks are made on the open descriptor, never on a name.
// Errors name the path, what is wrong with it and the command that mends it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/secret.h"

namespace msp::file {

/// What must hold of a file before it is believed. It is always a regular file.
struct Trust {
  std::optional<uid_t> owner = {};  ///< this user (root is accepted as well), or anybody
  mode_t forbidden = 0;             ///< mode bits that must not be set: 0022 not writable by others, 0077 owner only
  bool one_link = false;            ///< refuse a file with a second name
  bool no_symlinks = true;          ///< no component of the path may be a symbolic link
  bool check_directory = false;     ///< owner and write bits of the directory too
};

/// For keys and other state: ours alone.
Trust private_state();
/// For configuration and rules: readable by all, written by us or root only; symbolic links are followed.
Trust configuration();

inline constexpr std::size_t kMaxFile = std::size_t{4} << 20;

/// The whole file, at most max_bytes. Error code ENOENT if there is none.
Result<std::string> read(const std::string& path, const Trust& trust, std::size_t max_bytes = kMaxFile);
Result<Secret> read_secret(const std::string& path, const Trust& trust, std::size_t max_bytes = 65536);
/// The checked file, open for reading.
Result<Fd> open_checked(const std::string& path, const Trust& trust);

struct Replace {
  mode_t mode = 0600;
  bool durable = true;              ///< fsync of file and directory before success is reported
  std::optional<uid_t> owner = {};  ///< changed to, before the name appears
  std::optional<gid_t> group = {};
};
/// Readers see the old or the new content, never a part; a stale ".<name>.tmp" of a crash is taken away.
Result<void> replace(const std::string& path, std::string_view content, const Replace& how = {});

/// Made with its parents (0755) if missing, with exactly this mode; an existing one must have this owner and no more
/// mode bits than these, and must not be a symbolic link.
Result<void> ensure_directory(const std::string& path, mode_t mode, std::optional<uid_t> owner = std::nullopt);

/// The same of one that is there: ENOENT where none is.
Result<void> check_directory(const std::string& path, mode_t mode, std::optional<uid_t> owner = std::nullopt);

/// For a log: made if missing, open for reading and appending, with this mode. An existing one must be a regular file
/// of ours with one name; no component of the path may be a symbolic link.
Result<Fd> open_for_append(const std::string& path, mode_t mode);

/// Another name in the same directory, durably, of a file or a directory; a file that has it already is replaced.
Result<void> rename(const std::string& from, const std::string& to);

/// Names in a directory, sorted, without "." and "..".
Result<std::vector<std::string>> list(const std::string& path);
/// Removes the name durably; a missing one is success.
Result<void> remove(const std::string& path);
/// All bytes, through short writes and EINTR. `count` grows by what was written, also when it fails.
Result<void> write_all(const Fd& fd, std::string_view bytes, std::size_t* count = nullptr);

}  // namespace msp::file
