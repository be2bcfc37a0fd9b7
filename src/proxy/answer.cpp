// SPDX-License-Identifier: Apache-2.0
#include "proxy/answer.h"

#include "base/json.h"
#include "http/head_writer.h"
#include "http/message.h"

namespace msp::proxy {
namespace {

// IMDS says 410 while it is updating; clients that take 502 and 503 as final retry it (protocol.md J.2, row 18).
int gone_or(Service service, int status) { return service == Service::kImds ? 410 : status; }

}  // namespace

Answer refuse(const http::Refusal& refusal) { return {refusal.status, refusal.code, refusal.what, true, 0}; }

Answer no_identity() {
  return {421, "no_identity",
          "Nobody knows which process made this connection. Connect to the metadata address itself and try again."};
}
Answer direct_connection() {
  return {421, "direct_connection",
          "This connection was made to the agent instead of a metadata service. Ask the metadata address itself."};
}
Answer unknown_destination() {
  return {421, "unknown_destination", "This connection was not made to a metadata service that the agent guards."};
}
Answer body_too_large() { return {413, "body_too_large", "The request body is larger than this request may have."}; }
Answer body_timeout() { return {408, "body_timeout", "The rest of the request body did not arrive in time."}; }
Answer body_broken() { return {400, "body_broken", "The request body ended early or is not framed as announced."}; }
Answer head_timeout() { return {408, "head_timeout", "The rest of the request head did not arrive in time."}; }
Answer upstream_failed(Service service) {
  return {gone_or(service, 502), "upstream_failed",
          "The metadata service did not answer. It may be restarting: try again in a moment.", false, 1};
}
Answer upstream_malformed(Service service) {
  return {gone_or(service, 502), "upstream_failed",
          "The metadata service sent an answer that is not well-formed, and it was not passed on. The agent's log says "
          "what is "
          "wrong with it.",
          false, 1};
}
Answer upstream_timeout() {
  return {504, "upstream_timeout", "The metadata service took too long to answer. Try again later.", true, 0};
}
Answer not_ready(Service service) {
  return {gone_or(service, 503), "not_ready",
          "The agent has no key to endorse requests with yet. Try again in a moment.", false, 1};
}
Answer executable_not_ready(Service service) {
  return {gone_or(service, 503), "not_ready",
          "The agent recognised this program only after it had connected. Connect again.", true, 1};
}
Answer cgroup_not_ready(Service service) {
  return {gone_or(service, 503), "not_ready",
          "The agent could not tell in time to which service or container this process belongs. Try again in a moment.",
          false, 1};
}
Answer too_many_of_caller() {
  return {429, "too_many_connections", "This user has too many connections open. Close some and try again.", true, 1};
}
Answer too_many_in_all() {
  return {503, "overloaded", "The agent has too many connections open. Try again in a moment.", true, 1};
}
Answer cannot_sign() {
  return {500, "cannot_sign", "The request could not be endorsed. This is a fault of the agent: see its log."};
}

Answer denied(Service service, std::string_view code) {
  if (code == "not_elevated") {
    return {403, code, "This service answers processes of root only. Run the client as root, or ask IMDS instead."};
  }
  switch (service) {
    case Service::kImds:
      return {403, code,
              "The allowlist of IMDS does not let this process of this user ask for this. Ask whoever "
              "keeps the allowlist."};
    case Service::kWireServer:
      return {403, code,
              "The allowlist of the WireServer does not let this process of this user ask for this. Ask "
              "whoever keeps the allowlist."};
    case Service::kHostGaPlugin:
      return {403, code,
              "The allowlist of the HostGAPlugin does not let this process of this user ask for this. "
              "Ask whoever keeps the allowlist."};
  }
  return {403, code, "The allowlist does not let this process of this user ask for this."};
}

void write_answer(std::string& out, const Answer& answer, std::string_view request_id, int minor_version,
                  bool head_only, std::string_view date) {
  const std::string body = http::error_body(answer.code, answer.what, request_id);
  http::HeadWriter writer(out);
  writer.status_line(answer.status, minor_version).header("content-type", "application/json");
  writer.header("cache-control", "no-store").header("date", date);
  if (answer.status == 405) {
    writer.header("allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
  }
  if (answer.retry_after_s != 0) {
    writer.header("retry-after", answer.retry_after_s);
  }
  writer.header("content-length", body.size());
  if (answer.close) {
    writer.header("connection", "close");
  } else if (minor_version == 0) {
    writer.header("connection", "keep-alive");
  }
  if (writer.finish().ok() && !head_only) {
    out += body;
  }
}

void write_json(std::string& out, int status, std::string_view body, int minor_version, bool head_only, bool close,
                std::string_view date) {
  http::HeadWriter writer(out);
  writer.status_line(status, minor_version).header("content-type", "application/json; charset=utf-8");
  writer.header("date", date).header("content-length", body.size());
  if (close) {
    writer.header("connection", "close");
  } else if (minor_version == 0) {
    writer.header("connection", "keep-alive");
  }
  if (writer.finish().ok() && !head_only) {
    out += body;
  }
}

}  // namespace msp::proxy
