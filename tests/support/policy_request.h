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
      : x_text(target) {
    auto parsed = http::parse_target(x_text);
    x_ok = static_cast<bool>(parsed);
    if (!x_ok) {
      return;
    }
    x_target = *parsed;
    x_view.service = service;
    x_view.exempt = exempt;
    x_view.path = x_target.path;
    x_view.query = x_target.query;
    x_view.fault = request::canonicalize(method, x_target, x_arena, x_canonical);
    x_view.canonical = x_view.fault == request::Fault::kNone ? &x_canonical : nullptr;
  }
  PolicyRequest(const PolicyRequest&) = delete;
  PolicyRequest& operator=(const PolicyRequest&) = delete;

  bool ok() const { return x_ok; }
  const policy::RequestView& view() const { return x_view; }

 private:
  std::string x_text;
  http::Target x_target;
  request::Arena x_arena;
  request::CanonicalRequest x_canonical;
  policy::RequestView x_view;
  bool x_ok = false;
};

}  // namespace msp::test
