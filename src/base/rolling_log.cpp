// SPDX-License-Identifier: Apache-2.0
#include "base/rolling_log.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/clock.h"
#include "base/file.h"

namespace msp {
namespace {

constexpr int kHeader = 34;

}  // namespace

Result<RollingLog> RollingLog::open(const std::string& path, std::uint64_t max_bytes) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (std::error_code none; !std::filesystem::exists(folder, none)) {
    if (auto made = file::ensure_directory(folder.string(), 0750); !made) {
      return std::move(made).error();
    }
  }
  RollingLog out(path, max_bytes);
  if (auto opened = out.open_current(); !opened) {
    return std::move(opened).error();
  }
  return out;
}

Result<void> RollingLog::open_current() {
  auto file = file::open_for_append(path_, 0640);
  if (!file) {
    return std::move(file).error();
  }
  struct stat st{};
  if (::fstat(file->get(), &st) != 0) {
    return errno_error(fmt::format("stat of {}", path_));
  }
  file_ = std::move(*file);
  size_ = static_cast<std::uint64_t>(st.st_size);
  return {};
}

Result<void> RollingLog::write(std::string_view level, std::string_view text, std::int64_t unix_ns) {
  if (size_ >= max_bytes_) {
    if (auto rolled = roll(unix_ns); !rolled) {
      return rolled;
    }
  }
  const std::string line =
      fmt::format("{:<{}}{}\n", fmt::format("{} [{}]", timestamp_ms(unix_ns), level), kHeader, text);
  size_ += line.size();
  return file::write_all(file_, line);
}

Result<void> RollingLog::roll(std::int64_t unix_ns) {
  std::string time = timestamp_ms(unix_ns);
  std::ranges::replace(time, ':', '.');
  if (::rename(path_.c_str(), fmt::format("{}.{}-{}.log", path_, time, unix_ns).c_str()) != 0) {
    return errno_error(fmt::format("renaming {}", path_));
  }
  if (auto opened = open_current(); !opened) {
    return opened;
  }
  const std::filesystem::path current(path_);
  auto names = file::list(current.parent_path().string());
  if (!names) {
    return std::move(names).error();
  }
  const std::string old = current.filename().string() + ".";
  std::erase_if(*names, [&](const std::string& name) { return !name.starts_with(old) || !name.ends_with(".log"); });
  for (std::size_t i = 0; i + kMostFiles - 1 < names->size(); ++i) {
    if (auto gone = file::remove((current.parent_path() / (*names)[i]).string()); !gone) {
      return gone;
    }
  }
  return {};
}

}  // namespace msp
