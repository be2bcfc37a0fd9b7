// SPDX-License-Identifier: Apache-2.0
#include "worker/local_status.h"

#include "protocol/local_endpoint.h"

namespace msp::worker {
namespace {

proxy::LocalAnswer convert(status::LocalAnswer answer) {
  return {answer.status, std::move(answer.body), answer.error_code, answer.error_description};
}

}  // namespace

std::optional<proxy::LocalAnswer> LocalStatus::answer(const http::RequestHead& head, const http::Target& target,
                                                      const identity::ConnectionIdentity& caller) {
  const auto endpoint = protocol::local_endpoint(target);
  if (!endpoint) {
    return std::nullopt;
  }
  const bool metadata = head.headers.find("metadata") != nullptr;
  const bool elevated = caller.known && caller.elevated;
  if (*endpoint == protocol::LocalEndpoint::kProvision) {
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
  return convert(status::answer_aggregate_status(metadata, elevated, aggregate_json_));
}

}  // namespace msp::worker
