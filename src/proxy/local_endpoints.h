// SPDX-License-Identifier: Apache-2.0
// The agent's own endpoints (protocol.md G), for who connects to its listener. On a connection that was redirected
// their paths are those of the service (L.17).
// Implemented by the assembly from status values; called on the data loop, must not block.
// Refusals are answers like any other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/head.h"
#include "http/target.h"
#include "identity/connection_identity.h"

namespace msp::proxy {

struct LocalAnswer {
  int status = 200;
  std::string body;       ///< JSON; of a refusal: empty, see code
  std::string_view code;  ///< refusals only
  std::string_view what;  ///< refusals only
};

class LocalEndpoints {
 public:
  LocalEndpoints() = default;
  virtual ~LocalEndpoints() = default;
  LocalEndpoints(const LocalEndpoints&) = delete;
  LocalEndpoints& operator=(const LocalEndpoints&) = delete;

  /// None: the target is no local endpoint. `head` has been screened; `caller` may be unknown.
  virtual std::optional<LocalAnswer> answer(const http::RequestHead& head, const http::Target& target,
                                            const identity::ConnectionIdentity& caller) = 0;
};

}  // namespace msp::proxy
