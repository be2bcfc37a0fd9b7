// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream_pool.h"

#include <fmt/core.h>

#include <algorithm>

namespace msp::proxy {
namespace {

std::size_t index_of(Service service) { return static_cast<std::size_t>(service); }

}  // namespace

void UpstreamConnection::on_idle_event(Stream& /*stream*/) { pool_.drop(*this); }

std::unique_ptr<UpstreamConnection> UpstreamPool::take_idle(Service service) {
  auto& idle = idle_[index_of(service)];
  while (!idle.empty()) {
    auto connection = std::move(idle.back());
    idle.pop_back();
    connection->stream_.watch_idle(nullptr);
    if (connection->stream_.quiet()) {
      return connection;
    }
  }
  return nullptr;
}

Task<Result<std::unique_ptr<UpstreamConnection>>> UpstreamPool::connect(Service service, Deadline deadline) {
  const Ipv4Endpoint to = upstreams_[index_of(service)];
  const auto failure = [&](int code, bool timeout) {
    return Error{.source = Source::kUpstream,
                 .message = fmt::format("cannot connect to {} at {}{}", to_string(service), to_string(to),
                                        timeout ? " in time" : ""),
                 .hint = "check that the host is up and routed",
                 .code = code};
  };
  auto socket = co_await dialer_.dial(service, to, deadline);
  if (!socket) {
    co_return failure(socket.error().code, false);
  }
  auto connection = std::make_unique<UpstreamConnection>(loop_, std::move(*socket), *this, service);
  const IoResult done = co_await connection->stream_.connected(deadline);
  if (!done.ok()) {
    co_return failure(done.code, done.status == IoStatus::kTimeout);
  }
  co_return std::move(connection);
}

void UpstreamPool::give_back(std::unique_ptr<UpstreamConnection> connection) {
  auto& idle = idle_[index_of(connection->service_)];
  if (idle.size() >= kMaxIdlePerService || !connection->stream_.quiet()) {
    return;
  }
  connection->reused_ = true;
  connection->stream_.watch_idle(connection.get());
  idle.push_back(std::move(connection));
}

void UpstreamPool::drop(UpstreamConnection& connection) {
  auto& idle = idle_[index_of(connection.service_)];
  const auto at =
      std::find_if(idle.begin(), idle.end(), [&](const auto& candidate) { return candidate.get() == &connection; });
  if (at != idle.end()) {
    idle.erase(at);
  }
}

void UpstreamPool::close_idle() {
  for (auto& idle : idle_) {
    idle.clear();
  }
}

std::size_t UpstreamPool::idle_count() const {
  std::size_t count = 0;
  for (const auto& idle : idle_) {
    count += idle.size();
  }
  return count;
}

}  // namespace msp::proxy
