// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server: listeners, connections with keep-alive and pipelining, deadlines, collected bodies.
// Belongs to one loop's thread, as do its handler and buffer pool, which must outlive it.
// Bad input is answered with our error form (protocol.md J.2) and the connection closed; handlers never see it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/task.h"
#include "http/buffer.h"
#include "http/date.h"
#include "http/message.h"
#include "http/passage.h"

namespace msp::http {

/// Whose a connection is: what one party holds is bounded, so that nobody can take what is there for all.
struct Party {
  std::uint64_t id = 0;
  std::size_t most_connections = 0;  ///< of its open at a time; 0: as many as there are
};

class Handler {
 public:
  virtual ~Handler() = default;
  /// Asked when a connection is accepted. By default its address, without a bound.
  virtual Party party(const ConnectionInfo& connection);
  /// Asked when the head is there and the body is not: an answer that needs none of it. The connection ends with it.
  virtual std::optional<Response> before_body(const Request& request);
  /// Called when the head is there: the largest body to take for it, in bytes (more is answered with 413).
  virtual std::uint64_t body_limit(const Request& request) = 0;
  /// True: the body is read but not kept, so that it may be large; handle() sees its size only.
  virtual bool drops_body(const Request& request);
  /// The server itself has refused what came (it never becomes a request): for logs and counts. So it does for a
  /// connection above what its party may have, which has no request id.
  virtual void on_refused(const ConnectionInfo& connection, std::string_view request_id, const Refusal& refusal);
  /// Asked when the head is there. Of what is passed on, pass() is called instead of handle().
  virtual Passing passes_on(const Request& request);
  virtual Task<void> pass(const Request& request, Passage& passage);
  /// Called with the whole body. Everything `request` points to lives until the task ends.
  virtual Task<Response> handle(const Request& request) = 0;
};

struct ServerLimits {
  std::uint64_t head_ms = 10'000;   ///< for a whole head, from accept or its first byte: 408
  std::uint64_t idle_ms = 75'000;   ///< between requests: close
  std::uint64_t body_ms = 30'000;   ///< without a byte of the body: 408
  std::uint64_t write_ms = 30'000;  ///< without that the client takes anything of an answer: close
  std::uint64_t linger_ms = 2'000;  ///< for a peer to take the last answer after a refusal
  std::uint64_t farewell_ms = 250;  ///< of a drain, for idle connections to ask once more, and be told of the end
  std::size_t max_connections = 4096;
  /// Of bodies that are kept while they come, of all connections; of one party an eighth. Above it: 503.
  std::uint64_t body_bytes = std::numeric_limits<std::uint64_t>::max();
  /// What one party's requests and answers may be long together, each request at least 1 KB, before all others had
  /// their turn.
  std::uint64_t turn_bytes = std::numeric_limits<std::uint64_t>::max();
};

struct ServerCounters {
  std::uint64_t accepted = 0;
  std::uint64_t refused_connections = 0;  ///< above max_connections, or those of one party: 503
  std::uint64_t requests = 0;             ///< handed to the handler
  std::uint64_t bad_requests = 0;         ///< answered by the server itself
  std::uint64_t broken_responses = 0;     ///< could not be written (our fault): 500 instead
};

class ServerConnection;
struct ServerScratch;

/// What the connections of one server share.
struct ServerShared {
  ServerShared(Loop& of_loop, BufferPool& pool, Handler& on_request, ServerLimits given);
  ~ServerShared();

  struct Held {
    std::size_t connections = 0;
    std::uint64_t body_bytes = 0;
    std::uint64_t turn = 0;   ///< of the loop, in which
    std::uint64_t spent = 0;  ///< so many bytes were served
  };
  /// None: as many of this party are open already. Else valid until as many have left as were admitted.
  Held* admit(const Party& party);
  void left(const Party& party);
  /// False: the bodies that are kept may not grow by so much; nothing has changed.
  bool hold(const Party& party, std::uint64_t bytes);
  void let_go(const Party& party, std::uint64_t bytes);
  /// False: the others first.
  bool has_turn(Held& held) const;

  Loop& loop;
  BufferPool& buffers;
  Handler& handler;
  ServerLimits limits;
  ServerCounters counters;
  DateCache date;
  RequestIds ids;
  bool draining = false;
  bool farewell_over = false;                           ///< idle connections close
  std::vector<std::unique_ptr<ServerScratch>> scratch;  ///< unused ones
  List<ServerConnection, ServerConnection> active;
  List<ServerConnection, ServerConnection>
      finished;  ///< freed by the next event, never from inside their own coroutine
  std::size_t connections = 0;
  std::unordered_map<std::uint64_t, Held> parties;  ///< those with an open connection
  std::uint64_t body_bytes = 0;                     ///< of all of them
  Signal closed;
};

class Server {
 public:
  Server(Loop& loop, BufferPool& buffers, Handler& handler, ServerLimits limits = {});
  /// Cuts what is left, handler tasks included. Not to be called from one of them.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Accepts from a listening, non-blocking IPv4 or unix socket. Any number of them.
  Result<void> listen(Fd listener);
  /// No new connections. What is asked is answered, with "connection: close"; whoever asks nothing for farewell_ms is
  /// closed then, all that is left at the deadline.
  Task<void> drain(Deadline deadline);

  std::size_t connections() const { return shared_.connections; }
  const ServerCounters& counters() const { return shared_.counters; }

 private:
  struct Listener;

  void on_acceptable(Listener& listener);
  void start(Accepted accepted);
  void turn_away(const Fd& socket);
  Task<void> resume_later(Listener& listener);

  ServerShared shared_;
  std::vector<std::unique_ptr<Listener>> listeners_;
};

}  // namespace msp::http
