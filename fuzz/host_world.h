// SPDX-License-Identifier: Apache-2.0
// A host without sockets for fuzz targets: inventory, keys and store, and a request made from bytes.
// Fuzz targets only; one thread, no loop that runs.
// What cannot be set up ends the program.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "fuzz/check.h"
#include "fuzz/memory_store.h"
#include "gateway/channel_api.h"
#include "gateway/inventory.h"
#include "http/server.h"

namespace msp::fuzz {

struct HostWorld {
  HostWorld() {
    auto loaded = gateway::Inventory::load(gateway::Config());
    FUZZ_CHECK(loaded);
    inventory = std::move(*loaded);
    FUZZ_CHECK(inventory->open(store));
    auto ring = gateway::KeyRing::open(store, Secret::copy_of(std::string_view(std::string(32, 'm'))),
                                       inventory->registry(), clock, 4);
    FUZZ_CHECK(ring);
    keys = std::move(*ring);
    inventory->attach(*keys, [](const std::string&) {});
  }
  /// With these there.
  explicit HostWorld(const std::vector<gateway::GivenResource>& given) : HostWorld() {
    const auto outcome = inventory->apply(given, false);
    FUZZ_CHECK(outcome && outcome->faults.empty());
  }

  SystemClock clock;
  MemoryStore store;
  std::unique_ptr<gateway::Inventory> inventory;
  std::unique_ptr<gateway::KeyRing> keys;
};

/// A head, and as body all that is behind it. `good` is false where the server would not hand it on.
class BytesAsRequest {
 public:
  BytesAsRequest(std::string_view bytes, const http::ConnectionInfo& connection) {
    const auto parsed = http::parse_request_head(bytes, head_);
    if (!parsed.complete()) {
      return;
    }
    const auto target = http::parse_target(head_.target);
    if (!target) {
      return;
    }
    target_ = *target;
    const std::string_view body = bytes.substr(parsed.consumed);
    request_.emplace(head_, target_, body, connection, "0123456789abcdef", body.size());
  }
  BytesAsRequest(const BytesAsRequest&) = delete;
  BytesAsRequest& operator=(const BytesAsRequest&) = delete;

  bool good() const { return request_.has_value(); }
  http::Request& request() { return *request_; }

 private:
  http::RequestHead head_;
  http::Target target_;
  std::optional<http::Request> request_;
};

inline Task<void> take_answer(http::Handler& handler, const http::Request& request,
                              std::optional<http::Response>& out) {
  auto response = co_await handler.handle(request);
  out = std::move(response);
}

/// What holds of every answer; one that says JSON is.
inline void check_answer(const http::Response& response) {
  FUZZ_CHECK(response.writable());
  FUZZ_CHECK(response.status() >= 200 && response.status() < 600);
  if (response.header_lines().find("application/json") != std::string::npos && !response.body().empty()) {
    FUZZ_CHECK(
        json::parse(response.body(), {.max_bytes = std::size_t{64} << 20, .max_depth = 80, .max_nodes = 5'000'000}));
  }
}

/// Errors and advice of thousands of inputs are of no use to anybody.
inline void quiet() {
  static const bool once = [] {
    log::set_level(log::Level::kBug);
    return true;
  }();
  (void)once;
}

}  // namespace msp::fuzz
