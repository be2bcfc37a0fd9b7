// SPDX-License-Identifier: Apache-2.0
#include "proxy/signer.h"

#include <fmt/format.h>

#include "http/head_writer.h"
#include "protocol/authorization.h"
#include "protocol/headers.h"

namespace msp::proxy {
namespace {

/// The body's framing as it will be written: collected bodies by their length, streamed ones as they came.
void set_framing(Exchange& x) {
  if (!x.framing.has_body()) {
    return;
  }
  if (x.exempt && x.framing.kind == http::BodyKind::kChunked) {
    x.headers.remove("content-length");
    x.headers.set("transfer-encoding", "chunked");
    return;
  }
  const std::uint64_t length = x.exempt ? x.framing.length : x.body_view.size();
  char digits[20];
  const auto size = static_cast<std::size_t>(fmt::format_to_n(digits, sizeof(digits), "{}", length).size);
  x.headers.set("content-length", x.arena.copy({digits, size}));
}

Result<void> endorse(Exchange& x, const Endorsement& with) {
  if (with.nonce) {
    char text[protocol::kMostNonceSize];
    x.headers.set(protocol::kNonceHeader, x.arena.copy(protocol::format_nonce(*with.nonce, text)));
  }
  if (!with.caller.empty()) {
    x.headers.set(protocol::kCallerHeader, with.caller);
  }
  auto built = x.to_sign.build({.method = x.head.method,
                                .path = x.target.path,
                                .query = x.target.query,
                                .headers = x.headers.list(),
                                .extended = with.nonce || !with.caller.empty()});
  if (!built) {
    return built;
  }
  auto signature = protocol::sign(*with.hmac, x.to_sign, x.body_view);
  if (!signature) {
    return std::move(signature).error();
  }
  protocol::format_authorization(with.key_guid, *signature, x.authorization);
  x.headers.set(protocol::kAuthorizationHeader, x.authorization);
  return {};
}

}  // namespace

Result<OutboundHead> Signer::prepare(policy::Permit permit, Exchange& x, const Endorsement& with,
                                     const Ipv4Endpoint& to) {
  set_framing(x);
  if (x.headers.find("host") == nullptr) {
    x.headers.set("host", x.arena.copy(address_text(to)));
  }
  x.headers.set(protocol::kClaimsHeader, protocol::claims_text(with.elevated));
  return write(x, with, with.hmac != nullptr && !permit.exempt());
}

Result<OutboundHead> Signer::renew(OutboundHead head, Exchange& x, const Endorsement& with) {
  if (!head.endorsed()) {
    return head;
  }
  if (with.hmac == nullptr) {
    return Error{
        .source = Source::kHost, .message = "there is no key any more to sign a request with", .hint = {}, .code = 0};
  }
  for (const std::string_view name :
       {protocol::kAuthorizationHeader, protocol::kNonceHeader, protocol::kCallerHeader}) {
    x.headers.remove(name);
  }
  return write(x, with, true);
}

Result<OutboundHead> Signer::write(Exchange& x, const Endorsement& with, bool endorsed) {
  x.headers.set(protocol::kDateHeader, x.arena.copy(with.date));
  if (endorsed) {
    if (auto done = endorse(x, with); !done) {
      return std::move(done).error();
    }
  }
  x.outbound.clear();
  http::HeadWriter writer(x.outbound);
  writer.request_line(x.head.method, x.target);
  for (const http::Header& header : x.headers.list()) {
    writer.header(header.name, header.value);
  }
  auto bytes = writer.finish();
  if (!bytes) {
    return std::move(bytes).error();
  }
  return OutboundHead(*bytes, endorsed);
}

}  // namespace msp::proxy
