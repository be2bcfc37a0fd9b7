// SPDX-License-Identifier: Apache-2.0
#include "channel/key_store.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/file_error.h"
#include "protocol/guid.h"

namespace msp::channel {
namespace {

constexpr std::string_view kSuffix = ".key";
constexpr std::string_view kMarkText =
    "This machine was latched to its host. While this file exists, metadata stays closed from the start of the agent\n"
    "until a key is in use or the host says that the channel is disabled. Uninstalling the agent removes it.\n";
constexpr std::size_t kMostKeyBytes = 4096;
constexpr std::size_t kKeptFiles = 8;

bool is_key_name(std::string_view name) {
  return name.ends_with(kSuffix) && protocol::is_guid(name.substr(0, name.size() - kSuffix.size()));
}

/// What a crash, or a disk that took nothing more, left of a key that was being written.
bool is_leftover(std::string_view name) {
  constexpr std::string_view kTemporary = ".tmp";
  return name.starts_with('.') && name.ends_with(kTemporary) &&
         is_key_name(name.substr(1, name.size() - 1 - kTemporary.size()));
}

}  // namespace

KeyStore::KeyStore(std::string key_directory, std::string state_directory)
    : key_directory_(std::move(key_directory)), state_directory_(std::move(state_directory)) {}

std::string KeyStore::path_of(std::string_view guid) const {
  return fmt::format("{}/{}{}", key_directory_, guid, kSuffix);
}

std::string KeyStore::mark_path() const { return fmt::format("{}/{}", state_directory_, kLatchedMark); }

Result<void> KeyStore::prepare() const {
  if (auto made = file::ensure_directory(state_directory_, 0755, ::geteuid()); !made.ok()) {
    return std::move(made).error().context("state directory");
  }
  if (auto made = file::ensure_directory(key_directory_, 0700, ::geteuid()); !made.ok()) {
    return std::move(made).error().context("key directory");
  }
  return {};
}

// One rule at the start and while running: who may read the directory may have read the keys.
Result<void> KeyStore::check_directory() const {
  auto good = file::check_directory(key_directory_, 0700, ::geteuid());
  return good.ok() ? std::move(good) : std::move(good).error().context("key directory");
}

bool KeyStore::is_marked() const {
  struct stat info{};
  return ::lstat(mark_path().c_str(), &info) == 0 ? S_ISREG(info.st_mode) : errno != ENOENT;
}

Result<void> KeyStore::check(std::string_view guid, const Secret& bytes) const {
  auto stored = load(guid);
  if (!stored.ok()) {
    return stored.error().code == ENOENT ? Result<void>(config_error(fmt::format("there is no {}", path_of(guid))))
                                         : std::move(stored).error();
  }
  const auto key = stored->key();
  if (!key.ok() || !(*key == bytes)) {
    return config_error(fmt::format("{} holds another key than the one in use", path_of(guid)));
  }
  return {};
}

bool KeyStore::ever_latched(std::string& why) const {
  struct stat info{};
  if (::lstat(mark_path().c_str(), &info) == 0) {
    return true;
  }
  if (errno != ENOENT) {
    why = file::file_error("stat of", mark_path()).text();
    return true;
  }
  const auto names = file::list(key_directory_);
  if (!names.ok()) {
    why = names.error().text();
    return names.error().code != ENOENT;
  }
  return std::ranges::any_of(*names, is_key_name);
}

Result<void> KeyStore::mark_latched() const {
  return file::replace(mark_path(), kMarkText, {.mode = 0600, .durable = true, .owner = {}, .group = {}});
}

Result<protocol::KeyDocument> KeyStore::load(std::string_view guid) const {
  if (!protocol::is_guid(guid)) {
    return Error{.source = Source::kHost, .message = "the key id is no GUID", .hint = {}, .code = EINVAL};
  }
  if (auto directory = check_directory(); !directory.ok()) {
    return std::move(directory).error();
  }
  const std::string path = path_of(guid);
  auto text = file::read_secret(path, file::private_state(), kMostKeyBytes);
  if (!text.ok()) {
    return std::move(text).error();
  }
  auto key = protocol::parse_key_document(text->reveal(), Source::kConfig);
  if (!key.ok()) {
    return std::move(key).error().context(path);
  }
  if (key->guid != guid) {
    return config_error(fmt::format("{} holds the key of another id", path), "remove the file");
  }
  return key;
}

std::string KeyStore::what_is_there() const {
  const auto names = file::list(key_directory_);
  std::optional<protocol::KeyDocument> newest;
  timespec newest_time{};
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    struct stat info{};
    if (!is_key_name(name) || ::lstat(fmt::format("{}/{}", key_directory_, name).c_str(), &info) != 0) {
      continue;
    }
    auto key = load(std::string_view(name).substr(0, name.size() - kSuffix.size()));
    const auto order = std::pair(info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    if (key.ok() && (!newest || order > std::pair(newest_time.tv_sec, newest_time.tv_nsec))) {
      newest = std::move(*key);
      newest_time = info.st_mtim;
    }
  }
  if (!newest) {
    return fmt::format("no key is in {} (is the disk new, or was it re-imaged?)", key_directory_);
  }
  const std::string incarnation =
      newest->incarnation_id ? fmt::format(" of incarnation {}", *newest->incarnation_id) : std::string();
  return fmt::format("{} has others only, the newest {}{} (was the disk restored from a backup, or is it a copy?)",
                     key_directory_, newest->guid, incarnation);
}

Result<void> KeyStore::save(const protocol::KeyDocument& key) const {
  if (!protocol::is_guid(key.guid)) {
    return Error{.source = Source::kHost, .message = "the key id is no GUID", .hint = {}, .code = EINVAL};
  }
  if (auto directory = file::ensure_directory(key_directory_, 0700, ::geteuid()); !directory.ok()) {
    return std::move(directory).error().context("cannot save the key: key directory");
  }
  // Ids are never given out twice. Whoever answers for the host for a moment must not be able to destroy a stored key.
  if (const auto stored = load(key.guid); stored.ok() && !(stored->key_hex == key.key_hex)) {
    return Error{
        .source = Source::kHost,
        .message = fmt::format("the host gave out key id {} again, with another key; the stored one stays", key.guid),
        .hint = "find out who answers for the host",
        .code = EEXIST};
  }
  const Secret text = protocol::write_key_document(key, json::Style::kPretty);
  auto written =
      file::replace(path_of(key.guid), text.reveal(), {.mode = 0600, .durable = true, .owner = {}, .group = {}});
  if (!written.ok()) {
    return std::move(written).error().context("cannot save the key");
  }
  const auto back = load(key.guid);
  if (!back.ok()) {
    return Error(back.error()).context("cannot read the saved key back");
  }
  if (!(back->key_hex == key.key_hex)) {
    return Error{.source = Source::kKernel,
                 .message = fmt::format("{} does not hold what was written", path_of(key.guid)),
                 .hint = "check the disk",
                 .code = EIO};
  }
  return {};
}

void KeyStore::remove(std::string_view guid) const {
  if (protocol::is_guid(guid)) {
    [[maybe_unused]] const auto removed = file::remove(path_of(guid));
  }
}

void KeyStore::prune(std::string_view keep) const {
  const auto names = file::list(key_directory_);
  if (!names.ok()) {
    return;
  }
  std::vector<std::pair<timespec, std::string>> files;
  const std::string kept = std::string(keep) + std::string(kSuffix);
  for (const std::string& name : *names) {
    struct stat info{};
    const std::string path = fmt::format("{}/{}", key_directory_, name);
    if (is_leftover(name)) {
      [[maybe_unused]] const auto removed = file::remove(path);
    }
    if (name != kept && is_key_name(name) && ::lstat(path.c_str(), &info) == 0) {
      files.emplace_back(info.st_mtim, path);
    }
  }
  std::ranges::sort(files, [](const auto& a, const auto& b) {
    return std::pair(a.first.tv_sec, a.first.tv_nsec) > std::pair(b.first.tv_sec, b.first.tv_nsec);
  });
  for (std::size_t i = kKeptFiles; i < files.size(); ++i) {
    [[maybe_unused]] const auto removed = file::remove(files[i].second);
  }
}

}  // namespace msp::channel
