// SPDX-License-Identifier: Apache-2.0
// A data plane on a thread of its own, with a fake identity and a raw origin: for the tests of this folder.
// Owned by the test. The identity may be changed between connections only.
// Failures are gtest failures.
#pragma once

#include <gtest/gtest.h>

#include <thread>

#include "audit/sink.h"
#include "identity/fake_source.h"
#include "proxy/data_plane.h"
#include "tests/support/raw_peer.h"

namespace msp::proxy {

struct NoLocalEndpoints final : LocalEndpoints {
  std::optional<LocalAnswer> answer(const http::RequestHead&, const http::Target& target,
                                    const identity::ConnectionIdentity&) override {
    if (target.path == "/provision" && target.query.empty()) {
      return LocalAnswer{200, R"({"finished":true,"errorMessage":""})", {}, {}};
    }
    return std::nullopt;
  }
};

/// An answer of five bytes.
inline constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

inline constexpr const char* kTestKey = "5c0f6a52-2f0e-4d0b-9a63-1b7de2a4c8f7";

/// Answers every request with the same bytes, keep-alive.
inline test::RawOrigin::Script always(std::string_view answer) {
  return [answer = std::string(answer)](test::RawOrigin& origin, int socket) {
    while (!origin.read_request(socket).empty()) {
      test::RawOrigin::say(socket, answer);
    }
  };
}

inline std::string get(const std::string& target, const std::string& more = {}) {
  return "GET " + target + " HTTP/1.1\r\nHost: metadata.test\r\n" + more + "\r\n";
}

/// Reads the head of a request byte by byte; nothing of its body.
inline bool read_head(test::RawOrigin& origin, int socket) {
  std::string got;
  for (char byte = 0; !got.ends_with("\r\n\r\n"); got += byte) {
    if (!origin.wait_or_stop(socket) || ::recv(socket, &byte, 1, 0) <= 0) {
      return false;
    }
  }
  origin.note(got);
  return true;
}

class TestPlane {
 public:
  explicit TestPlane(const Ipv4Endpoint& origin, Settings settings = {}) {
    for (auto& service : settings.services) {
      service.endpoint = {{127, 0, 0, 99}, 1};
    }
    settings.services[static_cast<std::size_t>(Service::kImds)] = {origin, {"metadata.test"}};
    identities.answer = identity::fake_identity(1000, origin);
    auto socket = make_tcp_socket();
    EXPECT_TRUE(bind_and_listen(*socket, {{127, 0, 0, 1}, 0}, 64).ok());
    at = *local_endpoint(socket->get());
    settings.listener = at;
    plane.emplace(loop, settings, identities, DataPlane::Trace{audit, counters, audit::RequestIds(7)}, dialer, local);
    EXPECT_TRUE(plane->listen(std::move(*socket)).ok());
    thread = std::thread([this] { loop.run(); });
  }
  ~TestPlane() {
    on_loop([this] { plane->drain(); });
    for (int i = 0; i < 500 && !on_loop_value([this] { return plane->drained(); }); ++i) {
      ::usleep(10'000);
      on_loop([this] { plane->abort_all(); });
    }
    loop.stop();
    thread.join();
  }

  void on_loop(const std::function<void()>& f) {
    std::atomic<bool> done = false;
    loop.post([&] {
      f();
      done = true;
      done.notify_one();
    });
    done.wait(false);
  }
  bool on_loop_value(const std::function<bool()>& f) {
    bool value = false;
    on_loop([&] { value = f(); });
    return value;
  }
  void open_gate(Readiness readiness = Readiness::kSign, std::shared_ptr<const policy::Snapshot> rules = nullptr,
                 const protocol::Asks& asks = {}, const char* key_guid = kTestKey) {
    auto gate = std::make_shared<Gate>();
    gate->readiness = readiness;
    gate->rules = rules ? std::move(rules) : std::make_shared<const policy::Snapshot>();
    gate->asks = asks;
    gate->host_time_offset_ms = host_time_offset_ms;
    if (readiness == Readiness::kSign) {
      auto secret = Secret::from_hex("BE1AE0088136EBCA9E4C29A1E77261EC95AE77DACF8CBE7C7F315760FAE946D3");
      gate->key = std::make_shared<const channel::Key>(channel::Key{key_guid, std::nullopt, std::move(*secret)});
    }
    on_loop([&] { plane->install(gate); });
  }
  /// Looks again and again, on the loop, until it holds.
  bool becomes(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000; ++i) {
      if (on_loop_value(condition)) {
        return true;
      }
      ::usleep(5'000);
    }
    return false;
  }
  /// The audit lines so far.
  std::vector<std::string> lines() {
    std::vector<std::string> out;
    on_loop([&] { out = audit.lines; });
    return out;
  }

  std::optional<std::int64_t> host_time_offset_ms;  ///< of the gates that are opened from then on

  Loop loop;
  identity::FakeIdentitySource identities;
  audit::CollectingSink audit;
  Counters counters;
  PlainDialer dialer;
  NoLocalEndpoints local;
  std::optional<DataPlane> plane;
  Ipv4Endpoint at;
  std::thread thread;
};

}  // namespace msp::proxy
