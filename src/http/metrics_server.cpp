// SPDX-License-Identifier: Apache-2.0
#include "http/metrics_server.h"

#include <unistd.h>

#include <utility>

#include "base/net.h"
#include "base/unix_socket.h"

namespace msp::http {
namespace {

constexpr std::size_t kMostConnections = 16;
constexpr std::size_t kMostSocketPath = 107;
constexpr int kBacklog = 16;

}  // namespace

MetricsServer::MetricsServer(Loop& loop, BufferPool& buffers, Source source)
    : source_(std::move(source)),
      server_(loop, buffers, *this, {.head_ms = 2'000, .idle_ms = 120'000, .max_connections = kMostConnections}) {}

MetricsServer::~MetricsServer() {
  if (!path_.empty()) {
    ::unlink(path_.c_str());
  }
}

Result<void> MetricsServer::check_place(std::string_view place) {
  if (place.starts_with('/') && place.size() <= kMostSocketPath) {
    return {};
  }
  const auto endpoint = parse_endpoint(place);
  if (!endpoint || endpoint->address[0] != 127 || endpoint->port == 0) {
    return config_error("must be the absolute path of a unix socket, or a loopback address with a port");
  }
  return {};
}

Result<void> MetricsServer::listen(const std::string& place, std::string_view who) {
  if (auto good = check_place(place); !good) {
    return good;
  }
  if (place.starts_with('/')) {
    auto socket = listen_unix(place, who);
    if (!socket) {
      return std::move(socket).error().context("metrics socket");
    }
    path_ = place;
    return server_.listen(std::move(*socket));
  }
  auto socket = make_tcp_socket();
  if (!socket) {
    return std::move(socket).error();
  }
  if (auto bound = bind_and_listen(*socket, *parse_endpoint(place), kBacklog); !bound) {
    return std::move(bound).error().context("metrics");
  }
  return server_.listen(std::move(*socket));
}

std::uint64_t MetricsServer::body_limit(const Request& /*request*/) { return 0; }

Task<Response> MetricsServer::handle(const Request& request) {
  if (request.target.path != "/metrics") {
    co_return Response::error(request, 404, "no_such_resource", "Ask for /metrics.");
  }
  if (request.head.method != "GET") {
    co_return Response::error(request, 405, "method_not_allowed", "Use GET.").header("allow", "GET");
  }
  std::string text = co_await source_();
  co_return Response(200).header("content-type", "text/plain; version=0.0.4; charset=utf-8").body(std::move(text));
}

}  // namespace msp::http
