// SPDX-License-Identifier: Apache-2.0
#include "gateway/master_key.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/file_error.h"
#include "base/log.h"
#include "gateway/key_sealing.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kMostText = 256;

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

}  // namespace

Result<bool> is_first_start(const std::string& database) {
  struct stat status{};
  if (::stat(database.c_str(), &status) == 0) {
    if (status.st_size > 0) {
      return false;
    }
  } else if (errno != ENOENT) {
    return file::file_error("looking for", database);
  }
  // A start that was cut may leave an empty one; these come after it, or are what a lost one leaves.
  const std::string directory = database.substr(0, database.rfind('/'));
  for (const std::string& later : {database + "-wal", database + ".before-restore", directory + "/attested.pem",
                                   directory + "/issuer-rs256.pem", directory + "/issuer-es256.pem"}) {
    if (::access(later.c_str(), F_OK) == 0) {
      return Error{Source::kHost, fmt::format("the database {} is gone or empty, but {} is there", database, later),
                   "put back a backup (msp-host --restore FILE), or move all of the state directory but the master key "
                   "away: then nothing is known of any machine, and each latches a new key",
                   0};
    }
  }
  return true;
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
          "every key by moving the database away";
    }
    return error;
  }
  return parse(*text, path);
}

}  // namespace msp::gateway
