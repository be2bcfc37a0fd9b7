// SPDX-License-Identifier: Apache-2.0
#include "gateway/master_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include "base/fd.h"
#include "base/file.h"
#include "base/file_error.h"
#include "base/log.h"
#include "gateway/key_sealing.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kMostText = 256;
constexpr const char* kStartedMark = ".started";

Result<Secret> parse(const Secret& text, const std::string& path) {
  std::string_view digits = text.reveal();
  while (!digits.empty() && (digits.back() == '\n' || digits.back() == '\r')) {
    digits.remove_suffix(1);
  }
  auto key = Secret::from_hex(digits);
  if (!key || key->size() != kKeySize) {
    return config_error(fmt::format("master key {} does not hold 64 hex digits", path), "put it back");
  }
  return std::move(*key);
}

/// As a file of ours, but for the bit of its group: systemd lets a service's user in by an access list, and what that
/// grants shows as the group's.
file::Trust credential() {
  file::Trust trust = file::private_state();
  trust.forbidden = 0037;
  return trust;
}

bool has_log(const std::string& database) {
  struct stat log{};
  return ::stat((database + "-wal").c_str(), &log) == 0 && log.st_size > 0;
}

}  // namespace

bool is_blank_database(const std::string& database) {
  constexpr std::size_t kHeader = 72;  // https://www.sqlite.org/fileformat2.html 1.3; the application's id stands last
  std::array<char, kHeader> header{};
  const Fd file(::open(database.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  const ssize_t read = file ? ::read(file.get(), header.data(), header.size()) : -1;
  if (read < 0) {
    return false;
  }
  const bool unmarked = std::ranges::all_of(std::span(header).last(4), [](char c) { return c == 0; });
  return read == 0 || (unmarked && !has_log(database));
}

Result<bool> is_first_start(const std::string& database) {
  if (::access(database.c_str(), F_OK) == 0) {
    if (!is_blank_database(database)) {
      return false;
    }
  } else if (errno != ENOENT) {
    return file::file_error("looking for", database);
  }
  // A first start that was cut leaves a blank one, and no mark.
  for (const char* later : {kStartedMark, ".before-restore", "-wal"}) {
    const std::string file = database + later;
    if (later == std::string_view("-wal") ? has_log(database) : ::access(file.c_str(), F_OK) == 0) {
      return Error{
          Source::kHost, fmt::format("the database {} is gone or empty, but {} is there", database, file),
          fmt::format("put back a backup (msp-host --restore FILE), or move {}* away: then nothing is known of any "
                      "machine, and each latches a new key",
                      database),
          0};
    }
  }
  return true;
}

Result<void> mark_started(const std::string& database) {
  const std::string mark = database + kStartedMark;
  return ::access(mark.c_str(), F_OK) == 0 ? Result<void>() : file::replace(mark, {});
}

Result<Secret> load_master_key(const Config& config, bool may_create) {
  if (config.credentials_directory.empty()) {
    return load_master_key(config.master_key_file, may_create);
  }
  if (!config.credentials_directory.starts_with('/')) {
    return config_error(fmt::format("CREDENTIALS_DIRECTORY is no absolute path: {}", config.credentials_directory));
  }
  const std::string path = fmt::format("{}/{}", config.credentials_directory, kMasterCredential);
  auto text = file::read_secret(path, credential(), kMostText);
  if (!text && text.error().code == ENOENT) {
    return load_master_key(config.master_key_file, may_create);
  }
  if (!text) {
    return std::move(text).error().context("master key");
  }
  if (config.names_master_key_file) {
    return config_error(fmt::format("two master keys are named: the credential {} and masterKeyFile", path),
                        "take one of the two away");
  }
  if (::access(config.master_key_file.c_str(), F_OK) == 0) {
    log::warn("the master key is a credential: {} is not used", config.master_key_file);
    log::hint("remove it, once a backup of the credential is in a safe place");
  }
  return parse(*text, path);
}

Result<Secret> load_master_key(const std::string& path, bool may_create) {
  auto text = file::read_secret(path, file::private_state(), kMostText);
  if (!text && text.error().code == ENOENT && may_create) {
    auto fresh = random_secret(kKeySize);
    if (!fresh) {
      return std::move(fresh).error();
    }
    const Secret hex = fresh->to_hex();
    if (auto written = file::replace(path, hex.reveal()); !written) {
      return std::move(written).error().context("master key");
    }
    log::info("the master key was made: {}", path);
    log::hint("keep a copy of it apart from backups: without it they are worth nothing (docs/host-backup.md)");
    return std::move(*fresh);
  }
  if (!text) {
    Error error = std::move(text).error().context("master key");
    if (error.code == ENOENT) {
      error.hint =
          "the database was made with a master key: put its file back (or its credential, where it was one), or reset "
          "every key by moving host.db* away";
    }
    return error;
  }
  return parse(*text, path);
}

}  // namespace msp::gateway
