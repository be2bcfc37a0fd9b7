// SPDX-License-Identifier: Apache-2.0
// A request as the engine sees it, from its text: target parsed and canonicalised by the product's own code.
// Owned by one test; views point into it, so it does not move.
// ok() is false for a target that http refuses; the view must then not be used.
#pragma once

#include <string>
#include <string_view>

#include "http/target.h"
#include "policy/engine.h"
#include "request/arena.h"
#include "request/canonical_request.h"

namespace msp::test {

class PolicyRequest {
 public:
  PolicyRequest(Service service, std::string_view method, std::string_view target, bool exempt = false)
      : method_(method), text_(target) {
    auto parsed = http::parse_target(text_);
    ok_ = static_cast<bool>(parsed);
    if (!ok_) {
      return;
    }
    target_ = *parsed;
    view_.service = service;
    view_.exempt = exempt;
    view_.method = method_;
    view_.path = target_.path;
    view_.query = target_.query;
    view_.fault = request::canonicalize(method, target_, arena_, canonical_);
    view_.canonical = view_.fault == request::Fault::kNone ? &canonical_ : nullptr;
  }
  PolicyRequest(const PolicyRequest&) = delete;
  PolicyRequest& operator=(const PolicyRequest&) = delete;

  bool ok() const { return ok_; }
  const policy::RequestView& view() const { return view_; }

 private:
  std::string method_;
  std::string text_;
  http::Target target_;
  request::Arena arena_;
  request::CanonicalRequest canonical_;
  policy::RequestView view_;
  bool ok_ = false;
};

}  // namespace msp::test
