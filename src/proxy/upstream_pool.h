// SPDX-License-Identifier: Apache-2.0
// Keep-alive connections to the metadata services: bounded, watched while idle, never shared by two requests at once.
// Owned by the data plane, on its loop's thread; must outlive the connections that it lends.
// A connection whose last answer was not framed cleanly is never given back; one that speaks while idle is closed.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/net.h"
#include "base/stream.h"
#include "base/task.h"
#include "proxy/dialer.h"

namespace msp::proxy {

class UpstreamPool;

class UpstreamConnection : private Stream::IdleWatcher {
 public:
  UpstreamConnection(Loop& loop, Fd socket, UpstreamPool& pool, Service service)
      : stream_(loop, std::move(socket)), pool_(pool), service_(service) {}

  Stream& stream() { return stream_; }
  /// It has served a request before: a failure before the first byte of an answer may be a stale connection.
  bool reused() const { return reused_; }

 private:
  friend class UpstreamPool;
  void on_idle_event(Stream& stream) override;

  Stream stream_;
  UpstreamPool& pool_;
  Service service_;
  bool reused_ = false;
};

class UpstreamPool {
 public:
  static constexpr std::size_t kMaxIdlePerService = 64;

  UpstreamPool(Loop& loop, Dialer& dialer, const std::array<Ipv4Endpoint, kServiceCount>& upstreams)
      : loop_(loop), dialer_(dialer), upstreams_(upstreams) {}

  /// An idle connection that is quiet at this moment, or null.
  std::unique_ptr<UpstreamConnection> take_idle(Service service);
  /// Source::kKernel (no socket to be had) or Source::kUpstream (refused, timed out).
  Task<Result<std::unique_ptr<UpstreamConnection>>> connect(Service service, Deadline deadline);
  /// Only after an answer that ended where its framing said.
  void give_back(std::unique_ptr<UpstreamConnection> connection);
  void close_idle();
  std::size_t idle_count() const;

 private:
  friend class UpstreamConnection;
  void drop(UpstreamConnection& connection);

  Loop& loop_;
  Dialer& dialer_;
  std::array<Ipv4Endpoint, kServiceCount> upstreams_;
  std::array<std::vector<std::unique_ptr<UpstreamConnection>>, kServiceCount> idle_;
};

}  // namespace msp::proxy
