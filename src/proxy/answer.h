// SPDX-License-Identifier: Apache-2.0
// The agent's own answers to a client: refusals in the one form of protocol.md J.2, and local endpoints.
// Written by the session on the data loop into the exchange's buffer; texts are literals or escaped.
// Nothing of rule content or of the host is ever quoted.
#pragma once

#include <string>
#include <string_view>

#include "base/net.h"
#include "http/refusal.h"

namespace msp::proxy {

struct Answer {
  int status = 500;
  std::string_view code;  ///< stable, snake_case: docs/errors.md
  std::string_view what;  ///< what happened, and what to do
  bool close = true;
  unsigned retry_after_s = 0;  ///< 0: no `retry-after`
};

Answer refuse(const http::Refusal& refusal);

// The table of protocol.md J.2, apart from what parser, normaliser and policy say by themselves.
Answer no_identity();
Answer direct_connection();
Answer unknown_destination();
Answer body_too_large();
Answer body_timeout();
Answer body_broken();
Answer head_timeout();
Answer upstream_failed(Service service);
/// It answered, but not in HTTP/1.1 that everybody reads alike.
Answer upstream_malformed(Service service);
Answer upstream_timeout();
Answer not_ready(Service service);
/// The same for a caller whose executable was not yet held when it connected; a new connection will do.
Answer executable_not_ready(Service service);
/// The same for a caller whose cgroup was not looked up in time.
Answer cgroup_not_ready(Service service);
Answer too_many_of_caller();
Answer too_many_in_all();
Answer cannot_sign();
/// A denial of the policy, by its stable code.
Answer denied(Service service, std::string_view code);

/// Appends head and body to `out`. `minor_version` is the client's; `head_only` for HEAD.
void write_answer(std::string& out, const Answer& answer, std::string_view request_id, int minor_version,
                  bool head_only, std::string_view date);
/// A JSON answer of a local endpoint.
void write_json(std::string& out, int status, std::string_view body, int minor_version, bool head_only, bool close,
                std::string_view date);

}  // namespace msp::proxy
