// SPDX-License-Identifier: Apache-2.0
#include "gateway/answer.h"

#include "protocol/headers.h"

namespace msp::gateway {

Answer refuse(const http::Request& request, Reason reason) {
  const ReasonFacts& fact = facts(reason);
  Answer answer{.response = http::Response::error(request, fact.status, fact.code, fact.advice), .reason = reason};
  if (fact.status == 401) {
    answer.response.header("www-authenticate", protocol::kScheme);  // a 401 must name a scheme (RFC 9110 15.5.2)
  } else if (fact.status == 503) {
    answer.response.header("retry-after", "1");
  }
  return answer;
}

Answer refuse_too_many(const http::Request& request, std::uint64_t wait_seconds) {
  Answer answer = refuse(request, Reason::kTooMany);
  answer.response.header("retry-after", std::to_string(wait_seconds));
  return answer;
}

Answer refuse_method(const http::Request& request, std::string_view allowed) {
  Answer answer = refuse(request, Reason::kMethodNotAllowed);
  answer.response.header("allow", allowed);
  return answer;
}

}  // namespace msp::gateway
