// SPDX-License-Identifier: Apache-2.0
#include "agent/local_status.h"

namespace msp::agent {
namespace {

proxy::LocalAnswer convert(status::LocalAnswer answer) {
  return {answer.status, std::move(answer.body), answer.error_code, answer.error_description};
}

}  // namespace

std::optional<proxy::LocalAnswer> LocalStatus::answer(const http::RequestHead& head, const http::Target& target,
                                                      const identity::ConnectionIdentity& caller) {
  // Path byte-exact, origin-form, no query; a lone '?' and a fragment are tolerated (protocol.md G).
  if (target.form != http::TargetForm::kOrigin || !target.query.empty()) {
    return std::nullopt;
  }
  const bool metadata = head.headers.find("metadata") != nullptr;
  const bool elevated = caller.known && caller.elevated;
  if (target.path == "/provision") {
    status::ProvisionRequest request;
    request.has_metadata = metadata;
    request.time_tick = head.headers.value("x-ms-azure-time-tick");
    request.has_notify = head.headers.find("x-ms-azure-notify") != nullptr;
    request.elevated = elevated;
    status::LocalAnswer answer = status::answer_provision(provision_, request);
    if (answer.wake_poll) {
      wake_poll_();
    }
    return convert(std::move(answer));
  }
  if (target.path == "/gpa-aggregated-status") {
    return convert(status::answer_aggregate_status(metadata, elevated, aggregate_json_));
  }
  return std::nullopt;
}

}  // namespace msp::agent
