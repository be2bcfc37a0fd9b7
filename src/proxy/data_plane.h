// SPDX-License-Identifier: Apache-2.0
// The data path as one object: listeners in, endorsed requests out. It takes values and narrow interfaces only, so that
// it can live in a process without privileges.
// Owned by the assembly; everything is called on the data loop's thread.
// Fails closed: until install() brings a gate that is ready, every request is refused as "not ready".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "audit/request_id.h"
#include "audit/sink.h"
#include "base/crypto.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "http/buffer.h"
#include "http/date.h"
#include "identity/source.h"
#include "proxy/answer.h"
#include "proxy/counters.h"
#include "proxy/exchange.h"
#include "proxy/gate.h"
#include "proxy/local_endpoints.h"
#include "proxy/places.h"
#include "proxy/settings.h"
#include "proxy/upstream_pool.h"

namespace msp::proxy {

class Session;

class DataPlane {
 public:
  /// What the data path leaves behind, and where from it is told apart.
  struct Trace {
    audit::Sink& audit;
    Counters& counters;
    audit::RequestIds ids;
  };
  DataPlane(Loop& loop, Settings settings, identity::IdentitySource& identities, Trace trace, Dialer& dialer,
            LocalEndpoints& local);
  ~DataPlane();
  DataPlane(const DataPlane&) = delete;
  DataPlane& operator=(const DataPlane&) = delete;

  /// Accepts on a listening socket until drain(). `lost` is called, once, if it can accept no more because somebody who
  /// holds it has shut it down; it must not block, nor come back here at once.
  Result<void> listen(Fd listener, std::function<void()> lost = {});
  /// Serves a connection that was accepted elsewhere.
  void adopt(Fd connection) { start_session(std::move(connection)); }
  /// From the next request on, also on living connections (design P7).
  void install(std::shared_ptr<const Gate> gate);
  /// The identity source knows more than before: connections that wait for that look again.
  void identities_changed() { identities_changed_.announce(); }
  /// Stops accepting, ends idle connections; requests in flight are answered. `drained()` tells when all is over.
  void drain();
  /// Ends every connection now, whatever it is doing.
  void abort_all();
  bool drained() const { return draining_ && open_ == 0; }

 private:
  friend class Session;
  struct Listener;
  void on_listener(Listener& listener, std::uint32_t events);
  void accept_some(int listener);
  void start_session(Fd socket);
  identity::ConnectionIdentity identify(int socket);
  void refuse_session(Fd socket, identity::ConnectionIdentity caller, Places::Room room);
  Session& add_session(Fd socket, identity::ConnectionIdentity caller);
  void ended(Session& session);
  /// UTC seconds by the host's clock, else ours.
  std::int64_t host_time_s() const;
  protocol::Nonce next_nonce(std::uint64_t epoch) { return {epoch, ids_.prefix(), ++nonces_}; }
  std::string_view date() { return date_.text(host_time_s()); }

  Task<> tidy_up();

  void note_failure(const Answer& answer);
  /// Of the metadata service.
  void note_answer(int status);
  /// The same, of what was signed: what it says of the key. `host_code`: the host's word, where it refused.
  void note_key(Service service, std::string_view key_guid, int status, std::string_view host_code);
  void log_upstream(const Error& error);

  Loop& loop_;
  Settings settings_;
  identity::IdentitySource& identities_;
  audit::Sink& audit_;
  LocalEndpoints& local_;
  audit::RequestIds ids_;
  http::BufferPool buffers_;
  ExchangePool exchanges_;
  UpstreamPool upstreams_;
  Signal gate_changed_;
  Signal identities_changed_;
  std::shared_ptr<const Gate> gate_;
  std::optional<HmacSha256> hmac_;
  protocol::Asks asks_;  ///< the gate's, or what the host said of it since
  std::uint64_t nonces_ = 0;
  http::DateCache date_;
  log::RateLimit upstream_log_{5, 10'000};
  log::RateLimit accept_log_{1, 10'000};
  Counters& counters_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  List<Session, DataPlane> sessions_;
  Places places_;
  std::size_t open_ = 0;  ///< with those that are being refused
  std::uint64_t next_connection_ = 0;
  bool draining_ = false;
  Task<> tidying_;
};

}  // namespace msp::proxy
