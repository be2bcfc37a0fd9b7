// SPDX-License-Identifier: Apache-2.0
// One request and its whole answer over a connected stream: the control path (channel, mspctl), not the data path.
// Called by the coroutine that owns the stream (TCP or unix socket) on the loop's thread.
// Errors name whose fault it was: kUpstream for bad or late answers, kBug for headers that cannot be written.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/stream.h"
#include "base/task.h"
#include "http/buffer.h"
#include "http/head.h"

namespace msp::http {

struct ClientRequest {
  std::string_view method = "GET";
  std::string_view target = "/";
  /// Written in this order and nothing else, except `content-length` when there is a body and none is given.
  std::span<const Header> headers = {};
  std::string_view body = {};
};

struct OwnedHeader {
  std::string name;  ///< lower case
  std::string value;
};

struct ClientResponse {
  int status = 0;
  std::vector<OwnedHeader> headers;
  std::string body;
  bool reusable = false;  ///< the stream may carry another exchange

  /// The first value of that name (any case), or null.
  const std::string* header(std::string_view name) const;
};

struct ClientLimits {
  std::uint64_t max_body = std::uint64_t{1024} * 1024;  ///< bytes of the answer's body
};

/// Interim answers (1xx) are skipped, at most 8 of them. `request` and what it points to must live until the task ends.
Task<Result<ClientResponse>> exchange(Stream& stream, BufferPool& buffers, const ClientRequest& request,
                                      Deadline deadline, ClientLimits limits = {});

}  // namespace msp::http
