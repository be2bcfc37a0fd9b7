// SPDX-License-Identifier: Apache-2.0
// The memory of one request and its answer: parsed heads, canonical form, output buffers, audit record.
// Pooled by the data plane and used by one session at a time on the loop's thread; idle connections hold none.
// Views in it point into the session's buffer: they are dead once the request is answered.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/record.h"
#include "base/loop.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/target.h"
#include "protocol/error_form.h"
#include "protocol/string_to_sign.h"
#include "proxy/gate.h"
#include "request/arena.h"
#include "request/canonical_request.h"
#include "request/normalized_headers.h"

namespace msp::proxy {

struct Exchange {
  http::RequestHead head;
  http::Target target;
  http::Framing framing;
  request::Arena arena;
  request::CanonicalRequest canonical;
  request::Fault canonical_fault = request::Fault::kNone;
  request::NormalizedHeaders headers;  ///< what will be written upstream, and signed
  http::ResponseHead response;
  std::string outbound;  ///< head of the request: it may still be on its way while the answer is relayed
  std::string out;       ///< head of the answer
  std::string body;      ///< collected body that did not arrive with the head
  std::string_view body_view;
  protocol::StringToSign to_sign;
  std::string authorization;
  std::optional<std::uint64_t> epoch;  ///< of the nonce that it was last signed with
  std::string refusal;                 ///< body of a refusal by the host, up to protocol::kMostErrorBody
  protocol::ErrorForm refusal_words;   ///< what it says: views in the record point into it
  std::string caller;                  ///< value of the header that names the caller, where the host asks for it
  audit::Record record;
  std::shared_ptr<const Gate> decided;  ///< the gate whose rules decided: names in the record point into it
  std::shared_ptr<const Gate> gate;     ///< of the key that it was last signed with
  std::shared_ptr<const Gate> sent;     ///< of the key that it has left with: its name in the record points into it
  std::uint64_t started_ns = 0;
  Service service = Service::kImds;
  bool have_head = false;
  bool exempt = false;
  bool persistent = false;    ///< the client's wish, and ours so far
  bool body_pending = false;  ///< the client's body is not (fully) read
  bool consumed = false;      ///< the head has been taken out of the session's buffer
  std::size_t head_size = 0;

  /// Ready for the next request; keeps capacity, gives back what an unusual request took.
  void reset();
};

class ExchangePool {
 public:
  std::unique_ptr<Exchange> take();
  void give_back(std::unique_ptr<Exchange> exchange);

 private:
  static constexpr std::size_t kMaxCached = 64;
  std::vector<std::unique_ptr<Exchange>> cache_;
};

}  // namespace msp::proxy
