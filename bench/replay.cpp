// SPDX-License-Identifier: Apache-2.0
// replay COUNT [KIND]: the agent's whole data path in one process, COUNT keep-alive requests over loopback: accept,
// parse, normal form, decision, endorsement, pooled upstream, relay, audit. Only the kernel's record is stood in for.
// Counted under callgrind as the difference of two counts (bench/gate.py), which does not depend on the machine's mood.
// The other kinds of request are there for scripts/profile.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "audit/codec.h"
#include "audit/json_line.h"
#include "audit/sink.h"
#include "identity/fake_source.h"
#include "proxy/data_plane.h"

namespace msp {
namespace {

struct Kind {
  std::string_view name;
  std::string request;
  bool new_connection = false;  ///< for each request
  bool chunked = false;         ///< the origin's answer
  Service service = Service::kImds;
  std::string_view answer = "HTTP/1.1 200 ";
};

std::array<Kind, 5> kinds() {
  const std::string line = "GET /metadata/instance?api-version=2021-02-01&format=json HTTP/1.1\r\n";
  const std::string headers = "Host: 169.254.169.254\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nMetadata: true\r\n";
  const std::string get = line + headers + "\r\n";
  return {{{.name = "", .request = get},
           {.name = "connections", .request = line + headers + "Connection: close\r\n\r\n", .new_connection = true},
           {.name = "chunked", .request = get, .chunked = true},
           {.name = "uploads",
            .request = "POST /machine?comp=health HTTP/1.1\r\n" + headers + "Content-Length: 2048\r\n\r\n" +
                       std::string(2048, 'x')},
           // What the default rules leave to root.
           {.name = "refused", .request = get, .service = Service::kWireServer, .answer = "HTTP/1.1 403 "}}};
}

struct NoLocal final : proxy::LocalEndpoints {
  std::optional<proxy::LocalAnswer> answer(const http::RequestHead&, const http::Target&,
                                           const identity::ConnectionIdentity&) override {
    return std::nullopt;
  }
};

/// The writer thread's work on a record, without its file: valgrind does not know the call that opens it.
class Records final : public audit::Sink {
 public:
  void write(const audit::Record& record) noexcept override {
    bytes_.resize(audit::encoded_size(record));
    audit::encode(record, bytes_.data());
    text_.clear();
    lines_.append(text_, audit::decode(bytes_), bytes_);
    ++count;
  }
  unsigned count = 0;

 private:
  std::string bytes_;
  std::string text_;
  audit::LineWriter lines_;
};

/// The guarded address of the record leads to an origin on loopback.
class Origin {
 public:
  Origin(Loop& loop, bool chunked)
      : loop_(loop), listener_(std::move(*make_tcp_socket())), answer_(make_answer(chunked)) {
    if (!bind_and_listen(listener_, {{127, 0, 0, 2}, 0}, 16)) {
      std::abort();
    }
    at_ = *local_endpoint(listener_.get());
    watch_.emplace(loop, listener_.get(), [this](std::uint32_t) {
      serve(Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC))).detach();
    });
    (void)watch_->start();
  }
  const Ipv4Endpoint& at() const { return at_; }

 private:
  static std::string make_answer(bool chunked) {
    const std::string body(2048, 'x');
    return std::string("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n") +
           (chunked ? "transfer-encoding: chunked\r\n" : "content-length: 2048\r\n") +
           "date: Wed, 23 Apr 2025 12:00:00 GMT\r\n\r\n" + (chunked ? "800\r\n" + body + "\r\n0\r\n\r\n" : body);
  }
  Task<> serve(Fd socket) {
    Stream stream(loop_, std::move(socket));
    std::string buffer(4096, '\0');
    for (;;) {
      const IoResult got = co_await stream.read_some(buffer, kNoDeadline);
      if (!got.ok()) {
        co_return;
      }
      co_await stream.write_all({answer_}, kNoDeadline);
    }
  }
  Loop& loop_;
  Fd listener_;
  Ipv4Endpoint at_;
  std::string answer_;
  std::optional<Watch> watch_;
};

/// What is all of an answer of this kind: the body of 2048 bytes, the last chunk, or the refusal.
bool is_whole(const Kind& kind, std::string_view got) {
  const std::size_t head = got.find("\r\n\r\n");
  if (head == std::string_view::npos) {
    return false;
  }
  return kind.chunked ? got.ends_with("0\r\n\r\n")
                      : got.size() >= head + 4 + (kind.service == Service::kImds ? 2048 : 1);
}

/// The next request of this connection. False: it went wrong.
Task<bool> ask_once(Stream& stream, const Kind& kind, std::string& buffer) {
  co_await stream.write_all({kind.request}, kNoDeadline);
  std::size_t have = 0;
  while (!is_whole(kind, std::string_view(buffer.data(), have))) {
    const IoResult got = co_await stream.read_some(std::span(buffer).subspan(have), kNoDeadline);
    if (!got.ok()) {
      co_return false;
    }
    have += got.bytes;
  }
  co_return buffer.starts_with(kind.answer);
}

Task<> ask(Loop& loop, Ipv4Endpoint agent, const Kind& kind, unsigned count, bool& good) {
  std::string buffer(16384, '\0');
  std::optional<Stream> stream;
  good = true;
  for (unsigned i = 0; good && i < count; ++i) {
    if (!stream || kind.new_connection) {
      stream.emplace(loop, std::move(*make_tcp_socket()));
      const IoResult connected = co_await stream->connect(agent, kNoDeadline);
      good = connected.ok();
    }
    good = good && co_await ask_once(*stream, kind, buffer);
  }
  loop.stop();
}

int replay(unsigned count, const Kind& kind) {
  Loop loop;
  Origin origin(loop, kind.chunked);
  identity::FakeIdentitySource identities;
  identities.answer = identity::fake_identity(1000, origin.at());
  identities.answer.user_name = "worker";
  Records records;
  proxy::PlainDialer dialer;
  NoLocal local;
  proxy::Settings plane_settings;
  plane_settings.services[static_cast<std::size_t>(kind.service)] = {origin.at(), {"169.254.169.254"}};
  proxy::Counters counters;
  proxy::DataPlane plane(loop, plane_settings, identities, {records, counters, audit::RequestIds(1)}, dialer, local);
  auto gate = std::make_shared<proxy::Gate>();
  gate->readiness = proxy::Readiness::kSign;
  gate->rules = std::make_shared<const policy::Snapshot>();
  gate->key = std::make_shared<const channel::Key>(
      channel::Key{"5c0f6a52-2f0e-4d0b-9a63-1b7de2a4c8f7", std::nullopt,
                   *Secret::from_hex("BE1AE0088136EBCA9E4C29A1E77261EC95AE77DACF8CBE7C7F315760FAE946D3")});
  plane.install(gate);
  auto listener = make_tcp_socket();
  if (!listener || !bind_and_listen(*listener, {{127, 0, 0, 1}, 0}, 16)) {
    return 1;
  }
  const auto at = *local_endpoint(listener->get());
  if (!plane.listen(std::move(*listener))) {
    return 1;
  }
  bool good = false;
  const auto client = ask(loop, at, kind, count, good);
  loop.run();
  plane.drain();
  for (int turns = 0; turns < 100 && !plane.drained(); ++turns) {
    plane.abort_all();
    loop.run_once(10);
  }
  std::printf("%u requests, %u audit records\n", count, records.count);
  return good && records.count == count ? 0 : 1;
}

}  // namespace
}  // namespace msp

int main(int argc, char** argv) {
  unsigned count = 0;
  const std::string_view text = argc >= 2 ? argv[1] : "";
  const bool counted = std::from_chars(text.data(), text.data() + text.size(), count).ec == std::errc{} && count != 0;
  const auto all = msp::kinds();
  const auto kind = std::ranges::find(all, std::string_view(argc == 3 ? argv[2] : ""), &msp::Kind::name);
  if (!counted || argc > 3 || kind == all.end()) {
    std::fputs("usage: replay COUNT [connections|chunked|uploads|refused]\n", stderr);
    return 2;
  }
  return msp::replay(count, *kind);
}
