// SPDX-License-Identifier: Apache-2.0
// The second half of a session: from the Permit to the head of the metadata service's answer.
#include <fmt/core.h>

#include "base/log.h"
#include "http/head_reader.h"
#include "proxy/chunk.h"
#include "proxy/session.h"
#include "proxy/signer.h"

namespace msp::proxy {
namespace {

constexpr unsigned kMaxInterim = 8;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

/// Why a client's body came to no end.
Answer body_failure(const http::BodyPiece& piece) {
  switch (piece.status) {
    case http::BodyStatus::kTooLarge:
      return body_too_large();
    case http::BodyStatus::kTimeout:
      return body_timeout();
    case http::BodyStatus::kBad:
      return refuse(piece.refusal);
    default:
      return body_broken();
  }
}

bool is_repeatable(std::string_view method) { return method == "GET" || method == "HEAD"; }

protocol::CallerView caller_view(const identity::ConnectionIdentity& caller, const audit::Record& record) {
  return {.uid = caller.uid,
          .user = caller.user_name,
          .executable = caller.exe_path,
          .process = caller.comm,
          .unit = caller.cgroup ? std::string_view(caller.cgroup->unit) : std::string_view(),
          .denied = record.decision == audit::Decision::kAudit ? record.reason : std::string_view()};
}

}  // namespace

Endorsement Session::endorsement(Exchange& x) {
  const Gate& gate = *plane_.gate_;
  Endorsement with;
  x.gate = plane_.gate_;
  x.epoch.reset();
  if (gate.readiness == Readiness::kSign && plane_.hmac_) {
    with.hmac = &*plane_.hmac_;
    with.key_guid = gate.key->guid;
    if (plane_.asks_.epoch) {
      x.epoch = plane_.asks_.epoch;
      with.nonce = plane_.next_nonce(*x.epoch);
    }
    if (plane_.asks_.caller) {
      format_caller(caller_view(caller_, x.record), x.caller);
      with.caller = x.caller;
    }
  }
  with.date = plane_.date();
  with.elevated = caller_.elevated;
  return with;
}

Task<bool> Session::forward(Exchange& x, policy::Permit permit) {
  http::Buffer spare;
  if (!x.framing.has_body()) {
    consume_head(x);
  } else if (!permit.exempt()) {
    auto refused = co_await collect_body(x, spare);
    if (refused) {
      auto done = co_await refuse_with(x, *refused, refused->code);
      co_return done;
    }
  }
  auto keep = co_await forward_collected(x, std::move(permit), spare);
  // What came behind the body is the next request. Until here the head's views pointed into the old block.
  if (spare) {
    buffer_ = std::move(spare);
  }
  co_return keep;
}

Answer Session::malformed_answer(Service service, std::string_view what) {
  plane_.log_upstream(
      Error{.source = Source::kUpstream,
            .message = fmt::format("the answer of {} is malformed and was not passed on: {}", to_string(service), what),
            .hint = "the host's metadata service must send strict HTTP/1.1; tell its operator",
            .code = 0});
  return upstream_malformed(service);
}

Task<bool> Session::forward_collected(Exchange& x, policy::Permit permit, http::Buffer& spare) {
  const bool streamed = permit.exempt() && x.framing.has_body();
  // The gate may have closed while the body arrived.
  const Gate& gate = *plane_.gate_;
  if (gate.readiness == Readiness::kNotReady || (gate.readiness == Readiness::kSign && !plane_.hmac_)) {
    auto done = co_await refuse_with(x, not_ready(x.service), "not_ready");
    co_return done;
  }
  auto head = Signer::prepare(std::move(permit), x, endorsement(x), plane_.settings_.of(x.service).endpoint);
  if (!head) {
    log::write(head.error());
    auto done = co_await refuse_with(x, cannot_sign(), "cannot_sign");
    co_return done;
  }
  UpstreamAnswer answer;
  if (streamed) {
    auto asked = co_await stream_upstream(x, *head, spare);
    answer = std::move(asked);
  } else {
    auto asked = co_await ask_upstream(x, *head);
    answer = std::move(asked);
  }
  bool keep = false;
  if (answer.failure) {
    upstream_ = nullptr;
    answer.upload.reset();
    answer.connection.reset();
    plane_.note_failure(*answer.failure);
    auto done = co_await refuse_with(x, *answer.failure, answer.failure->code);
    keep = done;
  } else {
    auto done = co_await relay(x, std::move(answer));
    keep = done;
  }
  upstream_ = nullptr;
  co_return keep;
}

/// The audit record names the key of what has left, not of what was only signed.
void Session::note_sent(Exchange& x, const OutboundHead& head) {
  x.record.key_guid = head.endorsed() ? std::string_view(x.gate->key->guid) : std::string_view();
  x.sent = x.gate;
}

Task<std::optional<Answer>> Session::send_continue(Exchange& x) {
  if (http::expectation(x.head) == http::Expectation::k100Continue && buffer_.readable().size() == x.head_size) {
    const IoResult sent = co_await stream_.write_while_taken({kContinue}, bytes_ms());
    if (!sent.ok()) {
      co_return body_broken();
    }
  }
  co_return std::nullopt;
}

Task<std::optional<Answer>> Session::collect_body(Exchange& x, http::Buffer& spare) {
  const std::string_view behind = buffer_.readable().substr(x.head_size);
  if (x.framing.kind == http::BodyKind::kLength && behind.size() >= x.framing.length) {
    x.body_view = behind.substr(0, static_cast<std::size_t>(x.framing.length));
    buffer_.consume(x.head_size + x.body_view.size());
    x.consumed = true;
    x.body_pending = false;
    co_return std::nullopt;
  }
  auto refused = co_await send_continue(x);
  if (refused) {
    co_return refused;
  }
  // The head's views point into buffer_, so the body goes through a second block.
  spare = plane_.buffers_.take();
  spare.append(behind);
  buffer_.consume(buffer_.readable().size());
  x.consumed = true;
  http::BodyReader reader(stream_, spare, x.framing, plane_.settings_.max_signed_body_bytes);
  for (;;) {
    const http::BodyPiece piece = co_await reader.next(bytes_deadline());
    switch (piece.status) {
      case http::BodyStatus::kPiece:
        x.body.append(piece.data);
        break;
      case http::BodyStatus::kEnd:
        x.body_view = x.body;
        x.body_pending = false;
        co_return std::nullopt;
      default:
        co_return body_failure(piece);
    }
  }
}

UpstreamAnswer Session::upstream_failure(const Exchange& x) {
  UpstreamAnswer answer;
  answer.failure = upstream_failed(x.service);
  return answer;
}

bool Session::reuse_upstream(const Exchange& x, UpstreamAnswer& answer) {
  answer.connection = plane_.upstreams_.take_idle(x.service);
  upstream_ = answer.connection ? &answer.connection->stream() : nullptr;
  return upstream_ != nullptr;
}

Task<UpstreamAnswer> Session::open_upstream(Exchange& x) {
  upstream_ = nullptr;
  UpstreamAnswer answer;
  auto made = co_await plane_.upstreams_.connect(x.service, plane_.loop_.after_ms(plane_.settings_.connect_timeout_ms));
  if (!made) {
    plane_.log_upstream(made.error());
    co_return upstream_failure(x);
  }
  answer.connection = std::move(*made);
  upstream_ = &answer.connection->stream();
  co_return answer;
}

// A host that was started again, or asks for nonces since a moment ago: what it refused is signed anew, once. A refusal
// may bring another epoch and nothing else: it must not talk the agent out of nonces.
bool Session::learns_epoch(const Exchange& x) {
  constexpr int kUnauthorized = 401;
  if (x.response.status != kUnauthorized) {
    return false;
  }
  const auto epoch = protocol::parse_asks(x.response.headers.value(protocol::kAsksHeader)).epoch;
  if (!epoch || epoch == x.epoch) {
    return false;
  }
  // Of several that were under way, the first has said so already.
  if (plane_.asks_.epoch == x.epoch) {
    plane_.asks_.epoch = epoch;
  }
  return true;
}

Task<UpstreamAnswer> Session::ask_upstream(Exchange& x, OutboundHead head) {
  x.record.bytes_in = x.body_view.size();
  bool told = false;
  for (bool first = true;; first = false) {
    UpstreamAnswer answer;
    if (!first) {
      auto again = Signer::renew(head, x, endorsement(x));
      if (!again) {
        log::write(again.error());
        co_return upstream_failure(x);
      }
      head = *again;
    }
    if (!first || !reuse_upstream(x, answer)) {
      auto opened = co_await open_upstream(x);
      answer = std::move(opened);
      if (answer.failure) {
        co_return answer;
      }
    }
    Stream& stream = answer.connection->stream();
    bool stale = answer.connection->reused();
    bool out = true;
    if (x.body_view.empty()) {
      const IoResult sent = co_await stream.write_while_taken({head.bytes()}, bytes_ms());
      out = sent.ok();
    } else {
      answer.upload = std::make_unique<Upload>(plane_.loop_);
      answer.upload->sending.emplace(send_collected(x, head, stream, *answer.upload));
    }
    if (out) {
      const http::HeadStatus got = co_await read_answer_head(x, answer, answer.upload.get());
      if (!answer.failure || answer.request_sent()) {
        note_sent(x, head);
      }
      if (!answer.failure) {
        if (head.endorsed() && !told && learns_epoch(x)) {
          told = true;
          continue;
        }
        co_return answer;
      }
      stale = stale && (got == http::HeadStatus::kClosed || got == http::HeadStatus::kError);
    }
    // A pooled connection that died before the first byte of an answer: once more on a new one (protocol.md J.2).
    if (!stale || !first || !is_repeatable(x.head.method)) {
      co_return answer.failure ? std::move(answer) : upstream_failure(x);
    }
  }
}

// A host that refuses early closes while this still writes, or reads no more: its answer may be there all the same. One
// that reads on gets the rest while its answer is relayed.
Task<> Session::send_collected(const Exchange& x, OutboundHead head, Stream& to, Upload& upload) {
  const IoResult sent = co_await to.write_while_taken({head.bytes(), x.body_view}, bytes_ms());
  upload.whole = sent.ok();
  if (sent.status == IoStatus::kTimeout) {
    upload.broken = upstream_failed(x.service);
  }
  upload.sent = true;
  upload.moved.announce();
}

Task<http::HeadStatus> Session::read_answer_head(Exchange& x, UpstreamAnswer& answer, Upload* upload) {
  if (!answer.buffer) {
    answer.buffer = plane_.buffers_.take();
  }
  Deadline deadline = plane_.loop_.after_ms(plane_.settings_.upstream_timeout_ms);
  bool taken = upload == nullptr;  // by the host: the whole request
  for (unsigned interim = 0; interim <= kMaxInterim; ++interim) {
    if (!taken && answer.buffer.empty()) {
      co_await answer_begins(*upload, answer.connection->stream());
      if (upload->broken && !upload->heard) {
        answer.failure = *upload->broken;
        co_return http::HeadStatus::kError;
      }
      taken = upload->sent;
      if (taken) {
        // As soon as the host has what is in our kernel still.
        const IoResult begun = co_await answer.connection->stream().wait_answer(plane_.settings_.upstream_timeout_ms);
        if (begun.status == IoStatus::kTimeout) {
          answer.failure = upstream_timeout();
          co_return http::HeadStatus::kTimeout;
        }
      }
      deadline = plane_.loop_.after_ms(plane_.settings_.upstream_timeout_ms);
    }
    const http::HeadRead got =
        co_await http::read_response_head(answer.connection->stream(), answer.buffer, x.response, deadline);
    if (got.status == http::HeadStatus::kTimeout) {
      answer.failure = upstream_timeout();
      co_return got.status;
    }
    if (got.status == http::HeadStatus::kBad) {
      answer.failure = malformed_answer(x.service, got.refusal.what);
      co_return got.status;
    }
    if (got.status != http::HeadStatus::kComplete) {
      answer.failure = got.any_bytes ? malformed_answer(x.service, "its head ends early") : upstream_failed(x.service);
      // An interim answer is one as well: the host has the request (protocol.md J.2, row 19).
      co_return got.any_bytes || interim > 0 ? http::HeadStatus::kEof : got.status;
    }
    answer.buffer.consume(got.size);
    if (x.response.status >= 200) {
      co_return got.status;
    }
    if (x.response.status == 101) {
      // Never a tunnel (attacks.md C06).
      answer.failure = malformed_answer(x.service, "it changes the protocol, and nobody asked for that");
      co_return http::HeadStatus::kBad;
    }
    answer.buffer.compact();
  }
  answer.failure = malformed_answer(x.service, "too many interim answers");
  co_return http::HeadStatus::kBad;
}

Task<UpstreamAnswer> Session::stream_upstream(Exchange& x, OutboundHead head, http::Buffer& spare) {
  UpstreamAnswer answer;
  if (!reuse_upstream(x, answer)) {
    auto opened = co_await open_upstream(x);
    answer = std::move(opened);
    if (answer.failure) {
      co_return answer;
    }
  }
  auto refused = co_await send_continue(x);
  Stream& to = answer.connection->stream();
  const IoResult sent = co_await to.write_while_taken({head.bytes()}, bytes_ms());
  if (!sent.ok() || refused) {
    co_return upstream_failure(x);
  }
  note_sent(x, head);
  // The head's views point into buffer_, so the body goes through a second block.
  spare = plane_.buffers_.take();
  spare.append(buffer_.readable().substr(x.head_size));
  buffer_.consume(buffer_.readable().size());
  x.consumed = true;
  answer.upload = std::make_unique<Upload>(plane_.loop_);
  http::BodyReader& reader =
      answer.upload->reader.emplace(stream_, spare, x.framing, plane_.settings_.max_exempt_body_bytes);
  answer.upload->sending.emplace(upload_body(x, reader, to, *answer.upload));
  co_await read_answer_head(x, answer, answer.upload.get());
  co_return answer;
}

Task<> Session::answer_begins(Upload& upload, Stream& from) {
  const auto listen = [](Upload& to, Stream& stream) -> Task<> {
    co_await stream.wait_readable(kNoDeadline);
    to.heard = true;
    to.moved.announce();
  };
  upload.heard = false;
  const Task<> listening = listen(upload, from);
  while (!upload.sent && !upload.heard) {
    co_await upload.moved.wait(kNoDeadline);
  }
}

Task<> Session::upload_body(Exchange& x, http::BodyReader& reader, Stream& to, Upload& upload) {
  auto broken = co_await pump_request_body(x, reader, to);
  upload.broken = broken;
  upload.whole = !x.body_pending;
  upload.sent = true;
  upload.moved.announce();
}

Task<> Session::finish_upload(const Exchange& x, Upload& upload) {
  while (!upload.sent && x.response.status < 300) {
    co_await upload.moved.wait(kNoDeadline);
  }
}

Task<std::optional<Answer>> Session::pump_request_body(Exchange& x, http::BodyReader& reader, Stream& to) {
  const bool chunked = x.framing.kind == http::BodyKind::kChunked;
  for (unsigned pieces = 1;; ++pieces) {
    x.record.bytes_in = reader.received();
    const http::BodyPiece piece = co_await reader.next(bytes_deadline());
    IoResult sent;
    switch (piece.status) {
      case http::BodyStatus::kPiece:
        if (chunked) {
          const ChunkHead size(piece.data.size());
          sent = co_await to.write_while_taken({size.view(), piece.data, "\r\n"}, bytes_ms());
        } else {
          sent = co_await to.write_while_taken({piece.data}, bytes_ms());
        }
        break;
      case http::BodyStatus::kEnd:
        if (chunked) {
          sent = co_await to.write_while_taken({kLastChunk}, bytes_ms());
        }
        // The host's connection serves another request only if this one is there to its last byte.
        x.body_pending = !sent.ok();
        co_return std::nullopt;
      default:
        co_return body_failure(piece);
    }
    if (!sent.ok()) {
      co_return std::nullopt;  // the answer, if any, says why
    }
    if (pieces % kPiecesPerTurn == 0) {
      co_await plane_.loop_.next_turn();
    }
  }
}

}  // namespace msp::proxy
