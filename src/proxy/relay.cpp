// SPDX-License-Identifier: Apache-2.0
// The last part of a session: the metadata service's answer on its way to the client.
#include "http/head_writer.h"
#include "protocol/error_form.h"
#include "protocol/headers.h"
#include "proxy/chunk.h"
#include "proxy/session.h"

namespace msp::proxy {
namespace {

/// Of the host's connection, not of the client's. The length stays, whatever is said of it: the body was framed by it.
bool stays_behind(const http::HeaderList& headers, bool names_more, std::string_view name) {
  return http::is_connection_header(name) || http::iequals(name, "transfer-encoding") ||
         http::iequals(name, "trailer") || http::iequals(name, protocol::kAuthorizationHeader) ||
         (names_more && !http::iequals(name, "content-length") && http::is_connection_option(headers, name));
}

}  // namespace

bool Session::write_answer_head(Exchange& x, const http::Framing& framing, const http::ConnectionOptions& options,
                                bool chunk, bool keep) {
  x.out.clear();
  http::HeadWriter writer(x.out);
  writer.status_line(x.response.status, x.head.minor_version, x.response.reason);
  bool dated = false;
  const bool names_more = !options.foreign.empty();
  const bool no_content = x.response.status == 204;  // has no length either (RFC 9110 8.6); a 304 may say it
  for (const http::Header& header : x.response.headers) {
    if (stays_behind(x.response.headers, names_more, header.name) ||
        (no_content && http::iequals(header.name, "content-length"))) {
      continue;
    }
    dated = dated || http::iequals(header.name, "date");
    writer.header(header.name, header.value);
  }
  if (!dated) {
    writer.header("date", plane_.date());
  }
  writer.header(protocol::kAuthorizationHeader,
                protocol::kResponseMark);  // tells clients that an agent was involved (protocol.md D.10)
  if (chunk) {
    writer.header("transfer-encoding", "chunked");
  } else if (framing.kind == http::BodyKind::kNone && x.response.headers.find("content-length") == nullptr &&
             x.response.status >= 200 && x.response.status != 204 && x.response.status != 304 &&
             x.head.method != "HEAD") {
    writer.header("content-length", "0");
  }
  if (!keep) {
    writer.header("connection", "close");
  } else if (x.head.minor_version == 0) {
    writer.header("connection", "keep-alive");
  }
  return writer.finish().ok();
}

Task<bool> Session::relay(Exchange& x, UpstreamAnswer answer) {
  const auto framing = http::response_framing(x.response, x.head.method);
  const bool delimited =
      framing && framing->kind != http::BodyKind::kChunked && framing->kind != http::BodyKind::kUntilClose;
  const bool chunk = !delimited && x.head.minor_version >= 1;
  const bool keep = x.persistent && !x.body_pending && !winding_down_ && (delimited || chunk);
  const http::ConnectionOptions options = http::connection_options(x.response.headers);
  if (!framing || !write_answer_head(x, *framing, options, chunk, keep)) {
    const Answer failure = malformed_answer(
        x.service, framing ? std::string_view("a header cannot be written again") : framing.error().what);
    plane_.note_failure(failure);
    auto done = co_await refuse_with(x, failure, failure.code);
    co_return done;
  }
  unread_input_ = x.body_pending;
  x.record.status = static_cast<std::uint16_t>(x.response.status);
  const bool reusable =
      options.persistent(x.response.minor_version) && framing->kind != http::BodyKind::kUntilClose && !x.body_pending;
  http::BodyReader reader(answer.connection->stream(), answer.buffer, *framing);
  const RelayEnd end = co_await relay_body(x, reader, chunk);
  if (end == RelayEnd::kNothingSent) {
    const Answer failure = malformed_answer(x.service, "its body ends early or is not framed as announced");
    plane_.note_failure(failure);
    auto done = co_await refuse_with(x, failure, failure.code);
    co_return done;
  }
  x.record.bytes_out = reader.received();
  if (end == RelayEnd::kComplete && answer.upload) {
    x.record.duration_us = elapsed_us(x);
    // Who takes the end of the connection for that of the answer is not kept waiting for it.
    if (delimited || chunk) {
      co_await finish_upload(x, *answer.upload);
    }
    if (answer.upload->broken) {
      x.record.reason = answer.upload->broken->code;
    }
  }
  if (end == RelayEnd::kComplete && reusable && answer.request_sent() && answer.buffer.empty()) {
    plane_.upstreams_.give_back(std::move(answer.connection));
  }
  if (end != RelayEnd::kComplete) {
    x.record.reason = end == RelayEnd::kClientGone ? "client_gone" : "upstream_broken";
    if (!delimited && !chunk) {
      // To HTTP/1.0 the end of the connection is the end of the answer (protocol.md J.2, row 19).
      stream_.reset_on_close();
      unread_input_ = false;
    }
  }
  plane_.note_answer(x.response.status);
  if (!x.refusal.empty()) {
    x.refusal_words = protocol::read_error_form(x.refusal);
    x.record.host_code = x.refusal_words.code;
    x.record.host_request = x.refusal_words.request_id;
  }
  plane_.note_key(x.service, x.record.key_guid, x.response.status, x.refusal_words.code);
  record(x);
  co_return keep&& end == RelayEnd::kComplete;
}

Task<RelayEnd> Session::relay_body(Exchange& x, http::BodyReader& reader, bool chunk) {
  std::string_view head = x.out;
  for (unsigned pieces = 1;; ++pieces) {
    const std::optional<http::BodyPiece> at_hand = reader.try_next();
    http::BodyPiece piece = at_hand.value_or(http::BodyPiece());
    if (!at_hand && !head.empty()) {
      // The body is not here yet: the client gets the head now.
      const IoResult sent = co_await stream_.write_while_taken({head}, bytes_ms());
      if (!sent.ok()) {
        co_return RelayEnd::kClientGone;
      }
      head = {};
    }
    if (!at_hand) {
      piece = co_await reader.next(plane_.loop_.after_ms(plane_.settings_.upstream_timeout_ms));
    }
    if (piece.status == http::BodyStatus::kPiece && protocol::is_host_refusal(x.response.status) &&
        x.refusal.size() <= protocol::kMostErrorBody) {
      x.refusal.append(piece.data.substr(0, protocol::kMostErrorBody + 1 - x.refusal.size()));
    }
    IoResult sent;
    if (piece.status == http::BodyStatus::kPiece && chunk) {
      const ChunkHead size(piece.data.size());
      sent = co_await stream_.write_while_taken({head, size.view(), piece.data, "\r\n"}, bytes_ms());
    } else if (piece.status == http::BodyStatus::kPiece) {
      sent = co_await stream_.write_while_taken({head, piece.data}, bytes_ms());
    } else if (piece.status == http::BodyStatus::kEnd) {
      if (chunk || !head.empty()) {
        sent = co_await stream_.write_while_taken({head, chunk ? kLastChunk : std::string_view()}, bytes_ms());
      }
      co_return sent.ok() ? RelayEnd::kComplete : RelayEnd::kClientGone;
    } else {
      co_return head.empty() ? RelayEnd::kUpstreamBroken : RelayEnd::kNothingSent;
    }
    if (!sent.ok()) {
      co_return RelayEnd::kClientGone;
    }
    head = {};
    if (pieces % kPiecesPerTurn == 0) {
      co_await plane_.loop_.next_turn();
    }
  }
}

}  // namespace msp::proxy
