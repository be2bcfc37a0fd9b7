// SPDX-License-Identifier: Apache-2.0
// The agent's own endpoints on the data loop: answers from values that the monitor has sent.
// Owned by the worker; update() and answer() run on the data loop.
// A wish of a client (notify) is passed on by a callback that must not block.
#pragma once

#include <functional>
#include <string>

#include "proxy/local_endpoints.h"
#include "status/provision.h"

namespace msp::worker {

class LocalStatus final : public proxy::LocalEndpoints {
 public:
  explicit LocalStatus(std::function<void()> wake_poll) : wake_poll_(std::move(wake_poll)) {}

  void update(status::ProvisionView provision, std::string aggregate_json) {
    provision_ = std::move(provision);
    aggregate_json_ = std::move(aggregate_json);
  }
  std::optional<proxy::LocalAnswer> answer(const http::RequestHead& head, const http::Target& target,
                                           const identity::ConnectionIdentity& caller) override;

 private:
  std::function<void()> wake_poll_;
  status::ProvisionView provision_;
  std::string aggregate_json_ = "{}";
};

}  // namespace msp::worker
