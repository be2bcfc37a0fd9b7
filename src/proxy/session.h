// SPDX-License-Identifier: Apache-2.0
// One client connection: its identity, then request after request through the pipeline of design.md §4.
// Made by the data plane, lives on its loop; idle it holds neither buffer nor exchange.
// Every exit leaves one audit record; whatever goes wrong, the client gets an answer or a closed connection.
#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "base/list.h"
#include "base/stream.h"
#include "http/body.h"
#include "http/buffer.h"
#include "http/head_reader.h"
#include "identity/connection_identity.h"
#include "policy/permit.h"
#include "proxy/answer.h"
#include "proxy/data_plane.h"
#include "proxy/signer.h"

namespace msp::proxy {

/// A body on its way to the host, which may answer before its end.
struct Upload {
  explicit Upload(Loop& loop) : moved(loop) {}

  bool sent = false;                       ///< all that can be sent is sent
  bool whole = false;                      ///< to its last byte
  bool heard = false;                      ///< the host has said something, or closed
  std::optional<Answer> broken;            ///< why it came to no end, where no answer can say it
  Signal moved;                            ///< one of these
  std::optional<http::BodyReader> reader;  ///< of a body that is streamed
  std::optional<Task<>> sending;           ///< uses the others, so it ends before them
};

/// The head of the metadata service's answer in the exchange, and where its body comes from; or what to say instead.
struct UpstreamAnswer {
  /// The connection has the whole request, so that it may carry another one.
  bool request_sent() const { return !upload || upload->whole; }

  std::unique_ptr<UpstreamConnection> connection;
  http::Buffer buffer;
  std::optional<Answer> failure;
  std::unique_ptr<Upload> upload;  ///< writes to the connection, so it ends before it
};

enum class RelayEnd : unsigned char {
  kComplete,
  kClientGone,
  kUpstreamBroken,  ///< after the client has seen the head: its connection must be cut
  kNothingSent,     ///< the same, but the client can still be told
};

class Session : public ListHook<DataPlane> {
 public:
  Session(DataPlane& plane, Fd socket, std::uint64_t number, identity::ConnectionIdentity caller);

  /// The whole life of the connection; tells the plane at the end, which destroys the session.
  Task<> run();
  /// The same for a connection that is one too many.
  Task<> turn_away(Answer answer);
  /// Ends the connection: at once when idle, after the answer in flight otherwise.
  void wind_down();
  void abort();
  const identity::ConnectionIdentity& caller() const { return caller_; }

 private:
  friend class DataPlane;

  /// True: the connection may serve another request.
  Task<bool> serve();
  /// Reads and drops what a refused client still sends.
  Task<> linger();
  void begin(Exchange& x);
  Task<bool> handle(Exchange& x);
  bool ready() const;
  /// Waits for a gate that is ready, as long as protocol.md J.2 allows.
  Task<bool> wait_ready();
  /// Forgets what belongs to rules that hold no more: which of their executables the caller's is.
  void follow_rules();
  /// Rules of the service ask for executables, and the caller's is not known to be one of them.
  bool must_settle_executable(Service service) const;
  /// Rules of the service ask for units, cgroups or containers, and the caller's is not known.
  bool must_settle_cgroup(Service service) const;
  /// None: the gate is ready, and what rules may ask of executable and cgroup is known as far as it ever will be
  /// (design.md section 3).
  Task<std::optional<Answer>> prepare(Service service);
  Task<bool> refuse_with(Exchange& x, Answer answer, std::string_view reason);
  /// What nothing redirected: rows 1 to 6 of protocol.md J.2 with the listener's own address, rows 7 and 8, then row 9.
  Task<bool> serve_at_listener(Exchange& x);
  Task<bool> answer_locally(Exchange& x, LocalAnswer answer);
  void consume_head(Exchange& x);
  static std::uint64_t elapsed_us(const Exchange& x);
  void record(Exchange& x);
  /// For the next bytes of a body or an answer, whoever takes or sends them.
  std::uint64_t bytes_ms() const { return plane_.settings_.body_timeout_ms; }
  Deadline bytes_deadline() const { return plane_.loop_.after_ms(bytes_ms()); }

  // forward.cpp, relay.cpp
  Task<bool> forward(Exchange& x, policy::Permit permit);
  Task<bool> forward_collected(Exchange& x, policy::Permit permit, http::Buffer& spare);
  /// Says why in the log, and what the client is told.
  Answer malformed_answer(Service service, std::string_view what);
  static void note_sent(Exchange& x, const OutboundHead& head);
  Endorsement endorsement(Exchange& x);
  /// The host refused since it wants nonces of another epoch, which is known now.
  bool learns_epoch(const Exchange& x);
  /// None: the whole body is in x.body_view, and `spare` holds what came behind it, if it was needed.
  Task<std::optional<Answer>> collect_body(Exchange& x, http::Buffer& spare);
  Task<std::optional<Answer>> send_continue(Exchange& x);
  /// False: there is no idle connection to use again.
  bool reuse_upstream(const Exchange& x, UpstreamAnswer& answer);
  Task<UpstreamAnswer> open_upstream(Exchange& x);
  Task<UpstreamAnswer> ask_upstream(Exchange& x, OutboundHead head);
  /// Head and collected body; whoever reads the answer need not wait for its end.
  Task<> send_collected(const Exchange& x, OutboundHead head, Stream& to, Upload& upload);
  Task<UpstreamAnswer> stream_upstream(Exchange& x, OutboundHead head, http::Buffer& spare);
  Task<std::optional<Answer>> pump_request_body(Exchange& x, http::BodyReader& reader, Stream& to);
  Task<> upload_body(Exchange& x, http::BodyReader& reader, Stream& to, Upload& upload);
  /// A host that says yes may not have read everything yet; whatever refuses needs no more.
  static Task<> finish_upload(const Exchange& x, Upload& upload);
  /// Waits for the host's answer or, if that comes first, for the end of what is sent.
  static Task<> answer_begins(Upload& upload, Stream& from);
  /// `upload`: a body that is still being sent; the time for an answer counts from its end.
  Task<http::HeadStatus> read_answer_head(Exchange& x, UpstreamAnswer& answer, Upload* upload = nullptr);
  static UpstreamAnswer upstream_failure(const Exchange& x);
  Task<bool> relay(Exchange& x, UpstreamAnswer answer);
  /// `options`: of the host's answer.
  bool write_answer_head(Exchange& x, const http::Framing& framing, const http::ConnectionOptions& options, bool chunk,
                         bool keep);
  Task<RelayEnd> relay_body(Exchange& x, http::BodyReader& reader, bool chunk);

  DataPlane& plane_;
  Stream stream_;
  identity::ConnectionIdentity caller_;
  std::optional<Service> service_;
  http::Buffer buffer_;
  std::uint64_t number_;
  Stream* upstream_ = nullptr;  ///< of the request in flight, for abort()
  bool winding_down_ = false;
  bool idle_ = false;
  bool unread_input_ = false;
  bool has_place_ = false;        ///< of the plane's
  std::uint64_t rules_seen_ = 0;  ///< generation of the rules whose executables caller_ was compared with
};

}  // namespace msp::proxy
