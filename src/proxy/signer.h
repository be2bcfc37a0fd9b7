// SPDX-License-Identifier: Apache-2.0
// Makes the bytes that go upstream. It takes the Permit by value: what was not decided cannot be written (design P1),
// and what is written is made from the parsed form (P2).
// Called on the data loop with the exchange's memory; no allocation while its buffers suffice.
// Failure: a body or header that cannot be signed never leaves; the caller answers instead.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "base/result.h"
#include "policy/permit.h"
#include "protocol/extensions.h"
#include "proxy/exchange.h"

namespace msp::proxy {

/// A request head that may be sent. Made here only.
class OutboundHead {
 public:
  std::string_view bytes() const { return bytes_; }
  bool endorsed() const { return endorsed_; }

 private:
  friend class Signer;
  OutboundHead(std::string_view bytes, bool endorsed) : bytes_(bytes), endorsed_(endorsed) {}
  std::string_view bytes_;
  bool endorsed_;
};

/// Everything an endorsement needs besides the exchange.
struct Endorsement {
  HmacSha256* hmac = nullptr;  ///< null: the channel is disabled, the request goes out unsigned
  std::string_view key_guid;
  std::string_view date;                 ///< by the host's clock
  bool elevated = false;                 ///< of the caller, for the claims
  std::optional<protocol::Nonce> nonce;  ///< where the host asks for one
  std::string_view caller;               ///< who it is, where the host asks for that; empty: left out
};

class Signer {
 public:
  /// `x.headers` gets framing, claims and date; with a key also the signature over exactly what is written, x.body_view
  /// included. Exempt requests (protocol.md D.8) stay unsigned; their body may follow as it arrives. `to` is the Host
  /// of requests without one (HTTP/1.0).
  static Result<OutboundHead> prepare(policy::Permit permit, Exchange& x, const Endorsement& with,
                                      const Ipv4Endpoint& to);
  /// The same request once more, with another date and nonce: `head` may have arrived. The key may be another one.
  static Result<OutboundHead> renew(OutboundHead head, Exchange& x, const Endorsement& with);

 private:
  static Result<OutboundHead> write(Exchange& x, const Endorsement& with, bool endorsed);
};

}  // namespace msp::proxy
