// SPDX-License-Identifier: Apache-2.0
// A request that might be asked: from the words of an author, or from a record of what was asked.
// Owned by one tool, one thread; views of the last request die with the next. Reused for each of many requests.
// What the agent would refuse before any decision is a refusal with its answer, not an Error.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/net.h"
#include "base/result.h"
#include "http/refusal.h"
#include "policy/engine.h"
#include "request/arena.h"
#include "request/canonical_request.h"

namespace msp::authoring {

/// What a client makes of a URL: the service it connects to, Host, and the target in origin-form.
struct Url {
  Service service = Service::kImds;
  std::string host;
  std::string target;
};
/// `url`: absolute, or a path. `service`: who is asked where the URL does not name the address of a service.
Result<Url> read_url(std::string_view url, std::optional<Service> service);

class Asked {
 public:
  Asked() = default;
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

  void ask(std::string_view method, const Url& url);
  /// `target` as the agent received it, in any form; nothing is known of Host, so it is taken to fit.
  void ask(Service service, std::string_view method, std::string_view target);

  /// Why it is refused whatever the rules say (protocol.md J.2, rows 1 to 6); status 0: it is not.
  const http::Refusal& refusal() const { return refusal_; }
  /// For the engine; meaningless with a refusal.
  const policy::RequestView& view() const { return view_; }
  const std::string& method() const { return method_; }
  const std::string& target() const { return text_; }

 private:
  void read(std::string_view host);
  http::Refusal screened(std::string_view host) const;

  std::string method_;
  std::string text_;
  http::Target target_;
  request::Arena arena_;
  request::CanonicalRequest canonical_;
  policy::RequestView view_;
  http::Refusal refusal_;
};

}  // namespace msp::authoring
