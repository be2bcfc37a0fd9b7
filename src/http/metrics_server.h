// SPDX-License-Identifier: Apache-2.0
// `GET /metrics` for Prometheus, on a unix socket or a loopback port.
// Belongs to one loop's thread, never a data loop; the source is asked once a request, on that thread.
// Counts and states only, so any local process may ask a port; a unix socket is its owner's alone.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/server.h"

namespace msp::http {

class MetricsServer final : private Handler {
 public:
  /// Gives the whole text (base/metric_text.h). One that takes long gives others their turn meanwhile.
  using Source = std::function<Task<std::string>()>;

  MetricsServer(Loop& loop, BufferPool& buffers, Source source);
  ~MetricsServer() override;
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  /// An absolute path, or "127.x.y.z:port"; anything else is an error of the configuration.
  static Result<void> check_place(std::string_view place);
  /// `who` ("agent") is for messages.
  Result<void> listen(const std::string& place, std::string_view who);

 private:
  std::uint64_t body_limit(const Request& request) override;
  Task<Response> handle(const Request& request) override;

  Source source_;
  Server server_;
  std::string path_;  ///< of the unix socket; empty: none
};

}  // namespace msp::http
