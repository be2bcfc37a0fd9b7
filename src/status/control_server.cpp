// SPDX-License-Identifier: Apache-2.0
#include "status/control_server.h"

#include <unistd.h>

#include <utility>

#include "base/unix_socket.h"
#include "status/report.h"

namespace msp::status {
namespace {

constexpr std::size_t kMostConnections = 32;

}  // namespace

ControlServer::ControlServer(Loop& loop, http::BufferPool& buffers, Sources sources)
    : sources_(std::move(sources)),
      server_(loop, buffers, *this, {.head_ms = 2'000, .idle_ms = 10'000, .max_connections = kMostConnections}) {}

Result<void> ControlServer::listen(const std::string& path) {
  auto socket = listen_unix(path, "agent");
  if (!socket.ok()) {
    return std::move(socket).error().context("control socket");
  }
  path_ = path;
  return server_.listen(std::move(*socket));
}

void ControlServer::unlink() {
  if (!path_.empty()) {
    ::unlink(std::exchange(path_, {}).c_str());
  }
}

std::uint64_t ControlServer::body_limit(const http::Request&) { return 0; }

Task<http::Response> ControlServer::handle(const http::Request& request) {
  if (request.connection.peer_uid != 0U) {
    co_return http::Response::error(request, 403, "not_root", "The control socket is for root only.").close();
  }
  const bool wants_rules = request.target.path == "/v1/rules";
  if (!wants_rules && request.target.path != "/v1/status") {
    co_return http::Response::error(request, 404, "no_such_resource", "Ask for /v1/status or /v1/rules.");
  }
  if (request.head.method != "GET") {
    co_return http::Response::error(request, 405, "method_not_allowed", "Use GET.").header("allow", "GET");
  }
  co_return wants_rules ? rules(request) : http::Response::json(200, status_json(sources_.status()));
}

http::Response ControlServer::rules(const http::Request& request) const {
  auto text = rules_json(sources_.rules());
  if (!text) {
    return http::Response::error(request, 503, "rules_too_large", text.error().message + " " + text.error().hint);
  }
  return http::Response::json(200, *std::move(text));
}

}  // namespace msp::status
