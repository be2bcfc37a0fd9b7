// SPDX-License-Identifier: Apache-2.0
// The forms that answers of IMDS have by its public contract, errors included.
// Pure functions; loop's thread.
// Building one never fails.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gateway/answer.h"

namespace msp::gateway {

Answer imds_json(std::string body, int status = 200);
/// {"error": text}
Answer imds_error(Reason reason);
/// {"error": code, "error_description": text}: the identity endpoints.
Answer imds_identity_error(Reason reason, int status, std::string_view code, std::string_view description);

/// True for the versions that the instance endpoint has, and all others with it.
bool is_api_version(std::string_view text);
/// 400 with the newest versions: of the instance endpoint, or of one that has its own.
Answer imds_version_error();
Answer imds_version_error(std::span<const std::string_view> versions);
/// /metadata/versions
Answer imds_versions();

}  // namespace msp::gateway
