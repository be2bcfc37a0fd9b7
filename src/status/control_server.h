// SPDX-License-Identifier: Apache-2.0
// The root-only unix socket that `mspctl` talks to: HTTP/1.1, `GET /v1/status` and `GET /v1/rules` (docs/status.md).
// Owned by the assembly, lives on the control thread's loop.
// Whoever is not uid 0 gets 403, also past a wrong file mode; a socket of a living agent is never taken over.
#pragma once

#include <functional>
#include <string>

#include "base/loop.h"
#include "base/result.h"
#include "http/buffer.h"
#include "http/server.h"
#include "status/rules_in_force.h"
#include "status/snapshot.h"

namespace msp::status {

class ControlServer final : private http::Handler {
 public:
  /// Each is asked once a request, on the loop's thread.
  struct Sources {
    std::function<Snapshot()> status;
    std::function<RulesInForce()> rules;
  };

  ControlServer(Loop& loop, http::BufferPool& buffers, Sources sources);

  /// Makes the socket (0600; its folder 0700 if missing). A dead socket of the same path is replaced.
  Result<void> listen(const std::string& path);
  /// Takes the name away; connections end with the object.
  void unlink();
  ~ControlServer() override { unlink(); }
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  std::uint64_t body_limit(const http::Request& request) override;
  Task<http::Response> handle(const http::Request& request) override;

  http::Response rules(const http::Request& request) const;

  Sources sources_;
  http::Server server_;
  std::string path_;
};

}  // namespace msp::status
