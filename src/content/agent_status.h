// SPDX-License-Identifier: Apache-2.0
// The status that a guest's agent uploads (PUT /status at HostGAPlugin, or straight as a blob).
// Pure functions; any thread.
// Bytes are from a guest: what is no JSON of this form is refused; texts are cut, the document is kept as it is.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace msp::content {

struct AgentStatus {
  std::string state;    ///< guestAgentStatus.status: "Ready", "NotReady"
  std::string version;  ///< of the agent
  std::string message;
  std::string document;  ///< JSON, as the agent wrote it; empty: it only made room for one
};

/// {"requestUri": …, "headers": […], "content": base64}
Result<AgentStatus> parse_status_upload(std::string_view json);
/// The document itself.
Result<AgentStatus> parse_status_document(std::string document);

}  // namespace msp::content
