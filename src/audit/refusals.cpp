// SPDX-License-Identifier: Apache-2.0
#include "audit/refusals.h"

#include "audit/redact.h"

namespace msp::audit {

void Refusals::add(const Record& record) {
  std::string scratch;
  Refusal refusal{.time_ns = record.time_ns,
                  .request_id = std::string(view(record.request.text())),
                  .status = record.status,
                  .passed = record.decision == Decision::kAudit,
                  .has_caller = record.has_caller,
                  .uid = record.uid,
                  .pid = record.pid,
                  .user = std::string(record.user),
                  .process = std::string(record.process),
                  .exe = std::string(record.exe),
                  .service = std::string(record.service),
                  .method = std::string(record.method),
                  .target = std::string(redact_target(record.target, scratch)),
                  .reason = std::string(record.reason),
                  .rule_set = std::string(record.rule_set),
                  .host_code = std::string(record.host_code),
                  .host_request_id = std::string(record.host_request)};
  const std::lock_guard lock(mutex_);
  last_.push_front(std::move(refusal));
  if (last_.size() > kMax) {
    last_.pop_back();
  }
}

std::vector<Refusal> Refusals::list() const {
  const std::lock_guard lock(mutex_);
  return {last_.begin(), last_.end()};
}

}  // namespace msp::audit
