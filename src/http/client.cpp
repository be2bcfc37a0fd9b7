// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <cerrno>

#include "http/body.h"
#include "http/framing.h"
#include "http/head_reader.h"
#include "http/head_writer.h"

namespace msp::http {
namespace {

constexpr int kMaxInterimAnswers = 8;

Error upstream(std::string message, int code = 0) {
  return Error{.source = Source::kUpstream, .message = std::move(message), .hint = {}, .code = code};
}

Error from_head(const HeadRead& read) {
  switch (read.status) {
    case HeadStatus::kTimeout:
      return upstream("no answer before the deadline", ETIMEDOUT);
    case HeadStatus::kClosed:
      return upstream("the peer closed the connection without an answer", ECONNRESET);
    case HeadStatus::kEof:
      return upstream("the peer closed the connection inside the head of its answer", ECONNRESET);
    case HeadStatus::kBad:
      return upstream("the answer is not HTTP: " + std::string(read.refusal.what));
    default:
      return upstream("reading the answer failed", read.code != 0 ? read.code : ECANCELED);
  }
}

Error from_body(const BodyPiece& piece, std::uint64_t limit) {
  switch (piece.status) {
    case BodyStatus::kTimeout:
      return upstream("the body of the answer did not come before the deadline", ETIMEDOUT);
    case BodyStatus::kEof:
      return upstream("the peer closed the connection inside the body of its answer", ECONNRESET);
    case BodyStatus::kBad:
      return upstream("the body of the answer is malformed: " + std::string(piece.refusal.what));
    case BodyStatus::kTooLarge:
      return upstream("the body of the answer is larger than " + std::to_string(limit) + " bytes");
    default:
      return upstream("reading the answer failed", piece.code != 0 ? piece.code : ECANCELED);
  }
}

Result<std::string> request_text(const ClientRequest& request) {
  std::string out;
  out.reserve(1024);
  HeadWriter writer(out);
  writer.request_line(request.method, request.target);
  bool has_length = request.body.empty();
  for (const Header& header : request.headers) {
    has_length = has_length || iequals(header.name, "content-length");
    writer.header(header.name, header.value);
  }
  if (!has_length) {
    writer.header("content-length", request.body.size());
  }
  const auto written = writer.finish();
  if (!written) {
    return written.error();
  }
  return out;
}

Task<Result<ClientResponse>> read_answer(Stream& stream, BufferPool& buffers, const ClientRequest& request,
                                         Deadline deadline, ClientLimits limits) {
  Buffer buffer = buffers.take();
  ResponseHead head;
  for (int interim = 0;; ++interim) {
    const HeadRead read = co_await read_response_head(stream, buffer, head, deadline);
    if (read.status != HeadStatus::kComplete) {
      co_return from_head(read);
    }
    if (head.status == 101 || interim > kMaxInterimAnswers) {
      co_return upstream("the peer switched protocols or sent too many interim answers");
    }
    if (head.status >= 200) {
      ClientResponse response;
      response.status = head.status;
      for (const Header& header : head.headers) {
        OwnedHeader& owned = response.headers.emplace_back(std::string(header.name), std::string(header.value));
        for (char& c : owned.name) {
          c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        }
      }
      const auto framing = response_framing(head, request.method);
      if (!framing) {
        co_return upstream("the answer is not HTTP: " + std::string(framing.error().what));
      }
      const bool persistent = connection_options(head.headers).persistent(head.minor_version);
      buffer.consume(read.size);
      BodyReader body(stream, buffer, *framing, limits.max_body);
      BodyPiece piece = co_await body.next(deadline);
      while (piece.status == BodyStatus::kPiece) {
        response.body.append(piece.data);
        piece = co_await body.next(deadline);
      }
      if (piece.status != BodyStatus::kEnd) {
        co_return from_body(piece, limits.max_body);
      }
      response.reusable = persistent && framing->kind != BodyKind::kUntilClose && buffer.empty();
      co_return response;
    }
    buffer.consume(read.size);
  }
}

}  // namespace

const std::string* ClientResponse::header(std::string_view name) const {
  for (const OwnedHeader& header : headers) {
    if (iequals(header.name, name)) {
      return &header.value;
    }
  }
  return nullptr;
}

Task<Result<ClientResponse>> exchange(Stream& stream, BufferPool& buffers, const ClientRequest& request,
                                      Deadline deadline, ClientLimits limits) {
  auto text = request_text(request);
  if (!text) {
    co_return std::move(text).error();
  }
  const IoResult sent = co_await stream.write_all({*text, request.body}, deadline);
  if (!sent.ok() && sent.status != IoStatus::kError) {
    co_return upstream("the request could not be sent before the deadline", ETIMEDOUT);
  }
  // A peer that refuses early closes while we still write: its answer may be there all the same.
  auto answer = co_await read_answer(stream, buffers, request, deadline, limits);
  if (!answer && !sent.ok()) {
    co_return upstream("sending the request failed", sent.code);
  }
  if (answer && !sent.ok()) {
    answer->reusable = false;
  }
  co_return answer;
}

}  // namespace msp::http
