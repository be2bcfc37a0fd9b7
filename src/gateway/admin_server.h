// SPDX-License-Identifier: Apache-2.0
// The admin API (docs/host-admin.md): a unix socket of mode 0600 that `mspctl vm`, `profile` and `key` talk to,
// HTTP/1.1. Owned by the app, on the loop's thread; a change waits for one disk sync, and for the change before
// it. Whoever is neither root nor the
// user that runs msp-host gets 403, also past a wrong mode of the file.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/result.h"
#include "gateway/guest_state.h"
#include "gateway/inventory.h"
#include "http/buffer.h"
#include "http/server.h"

namespace msp::gateway {

class AdminServer final : public http::Handler {
 public:
  /// A kind of resources.
  struct Place {
    Listing listing;
    std::string_view path;
    std::string_view what;  ///< for messages
    std::string_view list;  ///< the command that shows all of them
  };

  AdminServer(Loop& loop, http::BufferPool& buffers, Inventory& inventory, GuestState& state, const Clock& clock);
  ~AdminServer() override { unlink(); }
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  /// Where the host listens, for those who ask, and what is backed up; it outlives the server.
  void describe(std::vector<ListenerConfig> listeners, HostStore& store) {
    listeners_ = std::move(listeners);
    store_ = &store;
  }
  /// Makes the socket; a dead one of the same path is replaced, a living one is not.
  Result<void> listen(const std::string& path);
  /// Takes the name away, then as http::Server::drain.
  Task<void> drain(Deadline deadline);

  std::uint64_t body_limit(const http::Request& request) override;
  Task<http::Response> handle(const http::Request& request) override;

 private:
  Task<http::Response> answer(const http::Request& request);
  Task<http::Response> backup(const http::Request& request);
  Task<Result<std::string>> take_copy();
  Task<http::Response> answer_resource(const http::Request& request, const Place& place, std::string_view rest);
  Task<http::Response> apply(const http::Request& request);
  http::Response take_in(const http::Request& request);
  http::Response send_away(const http::Request& request, const ResourceName& name);
  static http::Response failed(const http::Request& request, const Error& error);
  http::Response events(const http::Request& request, const std::string& vm_id, std::string_view event);
  http::Response finish(const http::Request& request, Result<ChangeOutcome> outcome, bool dry_run);
  void unlink();

  Loop& loop_;
  Inventory& inventory_;
  GuestState& state_;
  const Clock& clock_;
  Signal changed_;
  http::Server server_;
  std::vector<ListenerConfig> listeners_;
  HostStore* store_ = nullptr;
  bool backing_up_ = false;
  bool changing_ = false;
  log::RateLimit strangers_{10, 60'000};
  std::string path_;
};

}  // namespace msp::gateway
