// SPDX-License-Identifier: Apache-2.0
// Passes a request that may be served on to a metadata service that is there already, and its answer back, both piece
// by piece (docs/host-upstream.md). Owned by the gateway; loop's thread; one connection to the service for each
// request. What the service must not believe of a guest is taken away; what it is told of the machine is the host's
// own. A service that is dead, silent or no HTTP is a Reason of its own; an answer that breaks off breaks off for the
// guest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "base/stream.h"
#include "base/task.h"
#include "gateway/config.h"
#include "gateway/reason.h"
#include "http/body.h"
#include "http/buffer.h"
#include "http/message.h"
#include "http/passage.h"

namespace msp::gateway {

/// What came of it, for the log.
struct PassedOn {
  Reason reason = Reason::kNone;
  int status = 0;                ///< of the answer that the guest got
  std::uint64_t body_bytes = 0;  ///< of the request
  bool logged = false;           ///< the server has refused it and said so
};

class Upstream {
 public:
  Upstream(Loop& loop, http::BufferPool& buffers, const UpstreamConfig& config)
      : loop_(loop), buffers_(buffers), config_(config) {}

  bool serves(Service service) const { return config_.of(service) != nullptr; }
  /// `request` may be served, and is not answered yet. `vm_id`: whose it is.
  Task<PassedOn> pass(Service service, std::string vm_id, const http::Request& request, http::Passage& passage);

  /// The head that the service gets; empty: it cannot be written.
  static std::string head_for(const UpstreamService& to, std::string_view vm_id, const http::Request& request,
                              const http::Framing& framing);
  /// True for headers that only an agent, or this host, may set, in any spelling.
  static bool is_ours(std::string_view name);

 private:
  struct Exchange;
  Task<bool> send_body(Exchange& exchange);
  Task<void> send(Exchange& exchange);
  Task<bool> answer_begins(Exchange& exchange);
  Task<Reason> relay(Exchange& exchange);
  Task<Reason> relay_body(Exchange& exchange, http::BodyReader& body);
  std::uint64_t timeout_ms() const { return std::uint64_t{config_.timeout_seconds} * 1000; }
  Deadline deadline() const { return loop_.after_ms(timeout_ms()); }

  Loop& loop_;
  http::BufferPool& buffers_;
  UpstreamConfig config_;
};

}  // namespace msp::gateway
