// SPDX-License-Identifier: Apache-2.0
// The files that other software reads: status.json, provisioned.tag, status.tag (protocol.md H.3, H.6).
// Called on one thread at a time; every call blocks on the disk.
// Failure is reported to the caller and harms nothing: the next round writes again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace msp::status {

/// Mode 0640, replaced as a whole, no newline at the end; its folder is made if missing.
Result<void> write_status_file(const std::string& path, std::string_view text);

/// provisioned.tag (a timestamp) and status.tag (`error_text` XML-escaped, empty on success) in the key directory,
/// 0600.
Result<void> write_provision_tags(const std::string& key_directory, std::string_view error_text, std::int64_t unix_ns);

}  // namespace msp::status
