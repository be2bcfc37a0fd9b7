// SPDX-License-Identifier: Apache-2.0
// replay COUNT: the agent's whole data path in one process, COUNT keep-alive requests over loopback: accept,
// parse, normal form, decision, endorsement, pooled upstream, relay, audit. Only the kernel's record is stood in for.
// Counted under callgrind as the difference of two counts (bench/gate.py), which does not depend on the machine's mood.
#include <sys/socket.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "audit/codec.h"
#include "audit/json_line.h"
#include "audit/sink.h"
#include "identity/fake_source.h"
#include "proxy/data_plane.h"

namespace msp {
namespace {

constexpr std::string_view kRequest =
    "GET /metadata/instance?api-version=2021-02-01&format=json HTTP/1.1\r\nHost: 169.254.169.254\r\n"
    "User-Agent: curl/7.88.1\r\nAccept: */*\r\nMetadata: true\r\n\r\n";

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
  explicit Origin(Loop& loop) : loop_(loop), listener_(std::move(*make_tcp_socket())), answer_(make_answer()) {
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
  std::size_t answer_size() const { return answer_.size(); }

 private:
  static std::string make_answer() {
    return "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2048\r\n"
           "date: Wed, 23 Apr 2025 12:00:00 GMT\r\n\r\n" +
           std::string(2048, 'x');
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

Task<> ask(Loop& loop, Ipv4Endpoint agent, unsigned count, bool& good) {
  Stream stream(loop, std::move(*make_tcp_socket()));
  const IoResult connected = co_await stream.connect(agent, kNoDeadline);
  std::string buffer(16384, '\0');
  good = connected.ok();
  for (unsigned i = 0; good && i < count; ++i) {
    co_await stream.write_all({kRequest}, kNoDeadline);
    std::size_t have = 0;
    while (good && (have < 2048 || std::string_view(buffer.data(), have).find("\r\n\r\n") + 4 + 2048 > have)) {
      const IoResult got = co_await stream.read_some(std::span(buffer).subspan(have), kNoDeadline);
      good = got.ok();
      have += got.bytes;
    }
    good = good && buffer.starts_with("HTTP/1.1 200 ");
  }
  loop.stop();
}

int replay(unsigned count) {
  Loop loop;
  Origin origin(loop);
  identity::FakeIdentitySource identities;
  identities.answer = identity::fake_identity(1000, origin.at());
  identities.answer.user_name = "worker";
  Records records;
  proxy::PlainDialer dialer;
  NoLocal local;
  proxy::Settings plane_settings;
  plane_settings.services[0] = {origin.at(), {"169.254.169.254"}};
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
  const auto client = ask(loop, at, count, good);
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
  const std::string_view text = argc == 2 ? argv[1] : "";
  if (std::from_chars(text.data(), text.data() + text.size(), count).ec != std::errc{} || count == 0) {
    std::fputs("usage: replay COUNT\n", stderr);
    return 2;
  }
  return msp::replay(count);
}
