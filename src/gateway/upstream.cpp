// SPDX-License-Identifier: Apache-2.0
#include "gateway/upstream.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/net.h"
#include "gateway/answer.h"
#include "gateway/header_spelling.h"
#include "http/head_reader.h"
#include "http/head_writer.h"
#include "protocol/extensions.h"

namespace msp::gateway {
namespace {

constexpr std::uint64_t kConnectMs = 3'000;
constexpr int kMostInterim = 8;
constexpr std::string_view kOwnPrefix = "x-openmsp-";
constexpr std::string_view kHostPrefix = "x-ms-azure-host-";
constexpr std::array<std::string_view, 3> kForwarded = {"x-forwarded-for", "x-forwarded-host", "forwarded"};

/// Of the connection, the framing, or what only an agent or this host may set; in any spelling.
bool is_kept_from_others(std::string_view spelled) {
  return http::is_connection_header(spelled) || spelled == "content-length" || spelled == "transfer-encoding" ||
         Upstream::is_ours(spelled);
}

/// The guest's answer: everything of the service's that is not of its connection, and that nobody takes for ours.
/// Length and date are our own, so no list of the service's takes them away.
http::Response answer_head(const http::ResponseHead& head) {
  http::Response response(head.status);
  for (const http::Header& header : head.headers) {
    const std::string spelled = usual_spelling(header.name);
    if (!is_kept_from_others(spelled) && spelled != "date" && !http::is_connection_option(head.headers, header.name)) {
      response.header(header.name, header.value);
    }
  }
  return response;
}

/// HTTP/1.0 asks an address and need not name it, HTTP/1.1 must (RFC 9112 3.2).
std::string authority(const Ipv4Endpoint& asked) {
  constexpr std::uint16_t kHttpPort = 80;
  return asked.port == kHttpPort ? address_text(asked) : to_string(asked);
}

/// Of the body that follows, or, to HEAD, of the one that would; nothing: nobody knows.
std::optional<std::uint64_t> length_of(const http::ResponseHead& head, const http::Framing& framing,
                                       std::string_view method) {
  if (method == "HEAD") {
    std::uint64_t length = 0;
    return http::parse_length(head.headers.value("content-length"), length) ? std::optional(length) : std::nullopt;
  }
  const bool known = framing.kind == http::BodyKind::kLength || framing.kind == http::BodyKind::kNone;
  return known ? std::optional(framing.length) : std::nullopt;
}

}  // namespace

struct Upstream::Exchange {
  Exchange(Loop& loop, Fd socket, const http::Request& asked, http::Passage& through)
      : stream(loop, std::move(socket)), request(asked), passage(through), moved(loop) {}

  Stream stream;
  const http::Request& request;
  http::Passage& passage;
  std::string head;
  http::BodyPiece broken;  ///< of the guest's body, where that did not come to its end
  bool sent = false;       ///< all that can be sent to the service is sent
  bool heard = false;      ///< the service has said something, or closed
  Signal moved;            ///< one of these
  PassedOn out;
};

bool Upstream::is_ours(std::string_view name) {
  const std::string spelled = usual_spelling(name);
  return spelled.starts_with(kHostPrefix) || spelled.starts_with(protocol::kExtensionPrefix) ||
         spelled.starts_with(kOwnPrefix);
}

std::string Upstream::head_for(const UpstreamService& to, std::string_view vm_id, const http::Request& request,
                               const http::Framing& framing) {
  std::string text;
  http::HeadWriter writer(text);
  writer.request_line(request.head.method, request.target);
  for (const http::Header& header : request.head.headers) {
    const std::string spelled = usual_spelling(header.name);
    if (!is_kept_from_others(spelled) && std::ranges::find(kForwarded, spelled) == kForwarded.end()) {
      writer.header(header.name, header.value);
    }
  }
  if (request.head.headers.find("host") == nullptr) {
    writer.header("host", authority(request.connection.local));
  }
  writer.header("x-openmsp-vm-id", vm_id);
  if (to.forwarded_for) {
    writer.header("x-forwarded-for", address_text(request.connection.peer));
  }
  if (framing.kind == http::BodyKind::kChunked && request.body.empty()) {
    writer.header("transfer-encoding", "chunked");
  } else if (framing.has_body()) {
    writer.header("content-length", request.body.empty() ? framing.length : request.body.size());
  } else if (request.head.headers.find("content-length") != nullptr) {
    writer.header("content-length", std::uint64_t{0});
  }
  writer.header("connection", "close");
  const auto written = writer.finish();
  return written ? text : std::string();
}

/// False: nothing more can be sent to the service, which may have answered already.
Task<bool> Upstream::send_body(Exchange& x) {
  if (!x.request.body.empty()) {
    x.out.body_bytes = x.request.body.size();
    const IoResult sent = co_await x.stream.write_while_taken({x.request.body}, timeout_ms());
    co_return sent.ok();
  }
  const bool chunked = x.passage.framing().kind == http::BodyKind::kChunked;
  for (;;) {
    const http::BodyPiece piece = co_await x.passage.read();
    if (piece.status == http::BodyStatus::kEnd) {
      break;
    }
    if (piece.status != http::BodyStatus::kPiece) {
      x.broken = piece;
      co_return false;
    }
    x.out.body_bytes += piece.data.size();
    IoResult sent;
    if (chunked) {
      const std::string size = fmt::format("{:x}\r\n", piece.data.size());
      sent = co_await x.stream.write_while_taken({size, piece.data, "\r\n"}, timeout_ms());
    } else {
      sent = co_await x.stream.write_while_taken({piece.data}, timeout_ms());
    }
    if (!sent.ok()) {
      co_return false;
    }
  }
  if (chunked) {
    const IoResult sent = co_await x.stream.write_while_taken({"0\r\n\r\n"}, timeout_ms());
    co_return sent.ok();
  }
  co_return true;
}

Task<void> Upstream::send(Exchange& x) {
  const IoResult head = co_await x.stream.write_while_taken({x.head}, timeout_ms());
  if (head.ok()) {
    // One that refuses early closes while we still write: its answer may be there all the same.
    [[maybe_unused]] const bool whole = co_await send_body(x);
  }
  x.sent = true;
  x.moved.announce();
}

/// False: it never will, for the guest's body came to no end. A body may take its time to send, an answer to it only
/// from then on.
Task<bool> Upstream::answer_begins(Exchange& x) {
  const auto listen = [](Exchange& to) -> Task<void> {
    co_await to.stream.wait_readable(kNoDeadline);
    to.heard = true;
    to.moved.announce();
  };
  x.heard = false;
  const Task<void> listening = listen(x);
  while (!x.sent && !x.heard) {
    co_await x.moved.wait(kNoDeadline);
  }
  co_return x.broken.status == http::BodyStatus::kEnd;
}

/// While the request is still being sent, if need be. kNone: the guest has the answer, or the part of it that there
/// was.
Task<Reason> Upstream::relay(Exchange& x) {
  http::Buffer buffer = buffers_.take();
  http::ResponseHead head;
  Deadline until = kNoDeadline;
  bool taken = false;  // by the service: the whole request
  for (int interim = 0;; ++interim) {
    if (!taken && buffer.empty()) {
      const bool begins = co_await answer_begins(x);
      if (!begins) {
        co_return Reason::kNone;
      }
      taken = x.sent;
      // As soon as the service has what is in our kernel still.
      const IoResult begun = taken ? co_await x.stream.wait_answer(timeout_ms()) : IoResult();
      if (begun.status == IoStatus::kTimeout) {
        co_return Reason::kUpstreamSlow;
      }
      until = deadline();
    }
    const http::HeadRead read = co_await http::read_response_head(x.stream, buffer, head, until);
    if (read.status != http::HeadStatus::kComplete) {
      co_return read.status == http::HeadStatus::kTimeout ? Reason::kUpstreamSlow
      : read.status == http::HeadStatus::kBad             ? Reason::kUpstreamBad
                                                          : Reason::kUpstreamDown;
    }
    if (head.status == 101 || interim > kMostInterim) {
      co_return Reason::kUpstreamBad;
    }
    if (head.status < 200) {
      buffer.consume(read.size);
      continue;
    }
    const auto framing = http::response_framing(head, x.request.head.method);
    http::Response response = answer_head(head);
    if (!framing || !response.writable()) {
      co_return Reason::kUpstreamBad;
    }
    const auto length = length_of(head, *framing, x.request.head.method);
    buffer.consume(read.size);
    x.out.status = response.status();
    const bool good = co_await x.passage.begin(std::move(response), length);
    http::BodyReader body(x.stream, buffer, *framing);
    const Reason reason = good ? co_await relay_body(x, body) : Reason::kNone;
    co_return reason;
  }
}

Task<Reason> Upstream::relay_body(Exchange& x, http::BodyReader& body) {
  for (bool good = true; good;) {
    const http::BodyPiece piece = co_await body.next(deadline());
    if (piece.status == http::BodyStatus::kEnd) {
      [[maybe_unused]] const bool ended = co_await x.passage.end();
      break;
    }
    if (piece.status != http::BodyStatus::kPiece) {
      // The server cuts what was begun, so that nobody takes it for the whole.
      co_return piece.status == http::BodyStatus::kTimeout ? Reason::kUpstreamSlow : Reason::kUpstreamDown;
    }
    good = co_await x.passage.write(piece.data);
  }
  co_return Reason::kNone;
}

Task<PassedOn> Upstream::pass(Service service, std::string vm_id, const http::Request& request,
                              http::Passage& passage) {
  const UpstreamService& to = *config_.of(service);
  auto socket = make_tcp_socket();
  if (!socket) {
    log::write(socket.error());
    co_return PassedOn{.reason = Reason::kUpstreamDown};
  }
  Exchange x(loop_, std::move(*socket), request, passage);
  x.head = head_for(to, vm_id, request, passage.framing());
  if (x.head.empty() || !x.stream.registered()) {
    co_return PassedOn{.reason = x.head.empty() ? Reason::kUnsignableHeader : Reason::kUpstreamDown};
  }
  const IoResult connected = co_await x.stream.connect(to.at, loop_.after_ms(kConnectMs));
  if (!connected.ok()) {
    co_return PassedOn{.reason =
                           connected.status == IoStatus::kTimeout ? Reason::kUpstreamSlow : Reason::kUpstreamDown};
  }
  // A client that has gone is noticed by who reads its body.
  [[maybe_unused]] const bool invited = co_await passage.invite();
  Task<void> sending = send(x);
  x.out.reason = co_await relay(x);
  if (x.out.status == 0 && x.broken.status != http::BodyStatus::kEnd) {
    co_await passage.refuse(x.broken);
    x.out.logged = true;
  } else if (x.out.status != 0 && x.out.status < 300 && x.out.reason == Reason::kNone) {
    // It may have said yes before it has read everything. Whatever refuses needs no more.
    co_await std::move(sending);
  }
  co_return x.out;
}

}  // namespace msp::gateway
