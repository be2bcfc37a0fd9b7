// SPDX-License-Identifier: Apache-2.0
#include "status/files.h"

#include <filesystem>

#include "base/clock.h"
#include "base/file.h"
#include "status/provision.h"

namespace msp::status {
namespace {

// Nothing depends on these after a power cut, and they are written often.
file::Replace plain(mode_t mode) { return {.mode = mode, .durable = false, .owner = {}, .group = {}}; }

}  // namespace

Result<void> write_status_file(const std::string& path, std::string_view text) {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code failure;
  if (!std::filesystem::exists(folder, failure)) {
    if (auto made = file::ensure_directory(folder.string(), 0755); !made.ok()) {
      return std::move(made).error().context("status file");
    }
  }
  return file::replace(path, text, plain(0640));
}

Result<void> write_provision_tags(const std::string& key_directory, std::string_view error_text, std::int64_t unix_ns) {
  // status.tag first: who waits for provisioned.tag then finds the outcome beside it.
  if (auto written = file::replace(key_directory + "/status.tag", xml_escape(error_text), plain(0600)); !written.ok()) {
    return written;
  }
  return file::replace(key_directory + "/provisioned.tag", timestamp_ms(unix_ns), plain(0600));
}

}  // namespace msp::status
