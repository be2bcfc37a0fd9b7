// SPDX-License-Identifier: Apache-2.0
#include "http/server_connection.h"

#include <time.h>

#include <algorithm>
#include <utility>

#include "http/body.h"
#include "http/head_reader.h"
#include "http/head_writer.h"
#include "http/linger.h"
#include "http/server_passage.h"

namespace msp::http {
namespace {

constexpr std::size_t kMaxKeptString = std::size_t{64} * 1024;
constexpr std::size_t kMaxUnusedScratch = 64;
constexpr std::uint64_t kLeastCost = 1024;      // bytes: of a request with a short head, as it is counted for its party
constexpr std::uint64_t kRequestsPerTurn = 32;  // a client that pipelines without end must not starve the others

std::int64_t unix_seconds() {
  timespec ts{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &ts);
  return ts.tv_sec;
}

}  // namespace

ServerConnection::ServerConnection(ServerShared& shared, Fd socket, ConnectionInfo info, Party party,
                                   ServerShared::Held& held)
    : shared_(shared), info_(info), party_(party), of_party_(held) {
  stream_ = std::make_unique<Stream>(shared.loop, std::move(socket));
  info_.fd = stream_->fd();
}

// The coroutine first: its awaits point into the stream.
ServerConnection::~ServerConnection() { task_.reset(); }

void ServerConnection::start() { task_.emplace(run()); }

void ServerConnection::cancel() {
  if (stream_) {
    stream_->cancel();
  }
}

void ServerConnection::take_scratch() {
  if (shared_.scratch.empty()) {
    scratch_ = std::make_unique<ServerScratch>();
    scratch_->out.reserve(1024);
  } else {
    scratch_ = std::move(shared_.scratch.back());
    shared_.scratch.pop_back();
  }
}

void ServerConnection::give_scratch_back() {
  if (scratch_ && scratch_->body.capacity() <= kMaxKeptString && shared_.scratch.size() < kMaxUnusedScratch) {
    shared_.scratch.push_back(std::move(scratch_));
  }
  scratch_.reset();
}

Task<void> ServerConnection::run() {
  bool more = stream_->registered();
  for (std::uint64_t served = 0; more; ++served) {
    more = co_await wait_for_request(served == 0);
    while (more && !shared_.has_turn(of_party_)) {
      co_await shared_.loop.next_turn();
    }
    if (more) {
      more = co_await serve_one(served == 0);
    }
    if (served % kRequestsPerTurn == kRequestsPerTurn - 1) {
      co_await shared_.loop.next_turn();
    }
  }
  buffer_.release();
  forget_body();
  give_scratch_back();
  stream_.reset();
  shared_.left(party_);
  shared_.finished.push_back(*this);
  shared_.closed.announce();
}

Task<bool> ServerConnection::wait_for_request(bool first) {
  if (!first && buffer_.empty()) {
    if (shared_.farewell_over && stream_->quiet()) {
      co_return false;
    }
    buffer_.release();
    give_scratch_back();
    idle_ = true;
    const IoResult waited = co_await stream_->wait_readable(shared_.loop.after_ms(shared_.limits.idle_ms));
    idle_ = false;
    if (!waited.ok()) {
      co_return false;
    }
  }
  if (!buffer_) {
    buffer_ = shared_.buffers.take();
  }
  if (!scratch_) {
    take_scratch();
  }
  co_return true;
}

Task<bool> ServerConnection::serve_one(bool first) {
  RequestHead& head = scratch_->head;
  head.method = {};
  head.minor_version = 1;
  head.headers.admit_added();
  request_id_ = shared_.ids.next();
  reading_head_ = true;
  const HeadRead read =
      co_await read_request_head(*stream_, buffer_, head, shared_.loop.after_ms(shared_.limits.head_ms));
  reading_head_ = false;
  Refusal refusal = read.refusal;
  bool good = read.status == HeadStatus::kComplete;
  if (read.status == HeadStatus::kTimeout && (read.any_bytes || first)) {
    refusal = {408, "request_timeout", "the head of the request did not arrive in time; send it at once"};
  } else if (!good && read.status != HeadStatus::kBad) {
    co_return false;
  }
  Checked<Admission> admission = std::unexpected(refusal);
  if (good) {
    while (!shared_.has_turn(of_party_)) {
      co_await shared_.loop.next_turn();
    }
    of_party_.spent += std::max<std::uint64_t>(read.size, kLeastCost);
    admission = admit(head);
  }
  if (admission) {
    good = co_await serve_admitted(*admission, read.size);
  } else {
    good = co_await refuse(admission.error());
  }
  co_return good;
}

Checked<ServerConnection::Admission> ServerConnection::admit(const RequestHead& head) {
  const auto refused = [](int status, std::string_view code, std::string_view what) {
    return std::unexpected(Refusal{status, code, what});
  };
  const auto target = parse_target(head.target);
  if (!target) {
    return std::unexpected(target.error());
  }
  const auto framing = request_framing(head);
  if (!framing) {
    return std::unexpected(framing.error());
  }
  const std::size_t hosts = head.headers.count("host");
  if (hosts > 1 || (hosts == 0 && head.minor_version >= 1)) {
    return refused(400, "bad_host", "send exactly one host header");
  }
  const ConnectionOptions options = connection_options(head.headers);
  if (!options.foreign.empty()) {
    return refused(400, "bad_connection_header", "the connection header names a header that is not the connection's");
  }
  const Expectation expects = expectation(head);
  if (expects == Expectation::kUnknown) {
    return refused(417, "expectation_failed", "the only expectation known here is 100-continue");
  }
  return Admission{*target, *framing, options.persistent(head.minor_version), expects == Expectation::k100Continue};
}

Task<bool> ServerConnection::serve_admitted(const Admission& admission, std::size_t head_size) {
  ServerScratch& scratch = *scratch_;
  Request request{scratch.head, admission.target, {}, info_, {request_id_.data(), request_id_.size()}};
  const std::uint64_t limit = shared_.handler.body_limit(request);
  const Framing& framing = admission.framing;
  const std::string_view behind = buffer_.readable().substr(head_size);
  std::size_t used = head_size;
  Buffer rest;
  const bool body_is_here =
      framing.kind == BodyKind::kLength && framing.length <= limit && framing.length <= behind.size();
  if (framing.has_body() && !body_is_here) {
    if (std::optional<Response> early = shared_.handler.before_body(request)) {
      const bool more = co_await end_with(*std::move(early));
      co_return more;
    }
  }
  const Passing passing = shared_.handler.passes_on(request);
  if (passing == Passing::kStreamed && framing.has_body()) {
    rest = shared_.buffers.take();
    buffer_.split(head_size, rest);
    ++shared_.counters.requests;
    const bool again = co_await serve_streamed(admission, request, limit, rest);
    if (!again) {
      co_return false;
    }
    buffer_.consume(used);
    buffer_ = std::move(rest);
    co_return again;
  }
  if (body_is_here) {
    request.body = behind.substr(0, static_cast<std::size_t>(framing.length));
    used += request.body.size();
  } else if (framing.has_body()) {
    rest = shared_.buffers.take();
    buffer_.split(head_size, rest);
    const BodyTerms terms{.limit = limit, .keep = !shared_.handler.drops_body(request)};
    const std::optional<Refusal> refusal = co_await collect_body(admission, terms, rest, request.body_bytes);
    if (refusal) {
      forget_body();
      const bool answered = co_await refuse(*refusal);
      co_return answered;
    }
    request.body = scratch.body;
  }
  request.body_bytes = std::max<std::uint64_t>(request.body_bytes, request.body.size());
  of_party_.spent += request.body_bytes;
  ++shared_.counters.requests;
  const bool more = co_await serve_collected(admission, request, passing);
  forget_body();
  buffer_.consume(used);
  if (rest) {
    buffer_ = std::move(rest);
  }
  co_return more;
}

Task<bool> ServerConnection::serve_collected(const Admission& admission, const Request& request, Passing passing) {
  bool more = false;
  if (passing == Passing::kNo) {
    Response response = co_await shared_.handler.handle(request);
    more = co_await answer(std::move(response), admission.persistent && !shared_.draining);
  } else {
    Passed passed(*this, admission, nullptr, false);
    co_await shared_.handler.pass(request, passed);
    more = co_await passed.finish();
  }
  co_return more;
}

Task<bool> ServerConnection::serve_streamed(const Admission& admission, const Request& request, std::uint64_t limit,
                                            Buffer& rest) {
  BodyReader reader(*stream_, rest, admission.framing, limit);
  Passed passed(*this, admission, &reader, admission.expects_continue && rest.empty());
  co_await shared_.handler.pass(request, passed);
  const bool more = co_await passed.finish();
  co_return more;
}

Refusal ServerConnection::refusal_of(const BodyPiece& piece) {
  switch (piece.status) {
    case BodyStatus::kBad:
      return piece.refusal;
    case BodyStatus::kTooLarge:
      return {413, "body_too_large", "the body is larger than this resource takes"};
    case BodyStatus::kTimeout:
      return {408, "request_timeout", "the body of the request stalled; send it without pauses"};
    case BodyStatus::kPiece:
    case BodyStatus::kEnd:
    case BodyStatus::kEof:
    case BodyStatus::kError:
      break;
  }
  return {400, "body_incomplete", "the connection ended inside the body of the request"};
}

Task<std::optional<Refusal>> ServerConnection::collect_body(const Admission& admission, BodyTerms terms, Buffer& rest,
                                                            std::uint64_t& bytes) {
  std::string& body = scratch_->body;
  body.clear();
  BodyReader reader(*stream_, rest, admission.framing, terms.limit);
  BodyPiece piece;
  if (admission.expects_continue && rest.empty() && admission.framing.length <= terms.limit) {
    co_await stream_->write_while_taken({"HTTP/1.1 100 Continue\r\n\r\n"}, shared_.limits.write_ms);
  }
  for (;;) {
    piece = co_await reader.next(shared_.loop.after_ms(shared_.limits.body_ms));
    if (piece.status != BodyStatus::kPiece) {
      break;
    }
    bytes += piece.data.size();
    if (terms.keep) {
      if (!shared_.hold(party_, piece.data.size())) {
        co_return Refusal{503, "too_many_bodies", "too much is being sent at a time; send it again later"};
      }
      held_bytes_ += piece.data.size();
      body.append(piece.data);
    }
  }
  if (piece.status == BodyStatus::kEnd) {
    co_return std::nullopt;
  }
  co_return refusal_of(piece);
}

void ServerConnection::forget_body() {
  if (held_bytes_ != 0) {
    shared_.let_go(party_, std::exchange(held_bytes_, 0));
    scratch_->body = std::string();
  }
}

Task<bool> ServerConnection::refuse(Refusal refusal) {
  ++shared_.counters.bad_requests;
  shared_.handler.on_refused(info_, {request_id_.data(), request_id_.size()}, refusal);
  Response response =
      Response::json(refusal.status, error_body(refusal.code, refusal.what, {request_id_.data(), request_id_.size()}));
  response.header("cache-control", "no-store");
  const bool more = co_await end_with(std::move(response));
  co_return more;
}

Task<bool> ServerConnection::end_with(Response response) {
  co_await answer(std::move(response), false);
  if (!stream_->cancelled()) {
    co_await linger(*stream_, buffer_, shared_.loop.after_ms(shared_.limits.linger_ms));
  }
  co_return false;
}

void ServerConnection::write_head(const Response& response, bool persistent, std::optional<std::uint64_t> length,
                                  bool chunked) {
  const int minor = scratch_->head.minor_version;
  HeadWriter writer(scratch_->out);
  writer.status_line(response.status(), minor).written_lines(response.header_lines());
  if (length) {
    writer.header("content-length", *length);
  } else if (chunked) {
    writer.header("transfer-encoding", "chunked");
  }
  writer.header("date", shared_.date.text(unix_seconds()));
  if (!persistent) {
    writer.header("connection", "close");
  } else if (minor == 0) {
    writer.header("connection", "keep-alive");
  }
  // What could fail was checked when the lines were made.
  [[maybe_unused]] const auto written = writer.finish();
}

Task<bool> ServerConnection::answer(Response response, bool persistent) {
  if (!response.writable()) {
    ++shared_.counters.broken_responses;
    response = Response::json(500, error_body("internal_error", "the answer could not be written; please report this",
                                              {request_id_.data(), request_id_.size()}));
    response.close();
  }
  const bool bodiless = response.status() == 204 || response.status() == 304;
  const bool stays = persistent && !response.closes();
  scratch_->out.clear();
  write_head(response, stays, bodiless ? std::nullopt : std::optional<std::uint64_t>(response.body().size()), false);
  const bool sends_body = !bodiless && scratch_->head.method != "HEAD";
  const std::string_view body = sends_body ? std::string_view(response.body()) : std::string_view{};
  const IoResult written = co_await stream_->write_while_taken({scratch_->out, body}, shared_.limits.write_ms);
  of_party_.spent += body.size();
  co_return written.ok() && stays;
}

}  // namespace msp::http
