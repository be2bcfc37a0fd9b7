// SPDX-License-Identifier: Apache-2.0
// The exact bytes of the three requests (protocol.md B.1, C.1, C.3), as a socket sees them.
#include "channel/host_client.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <vector>

#include "protocol/authorization.h"
#include "protocol/headers.h"
#include "protocol/string_to_sign.h"

namespace {

// What is given back to the heap while this is set, and how often it had this in it.
std::string_view sought;
int found_in_freed = 0;

[[maybe_unused]] void look_into(void* block, std::size_t size) {
  if (block != nullptr && !sought.empty() && ::memmem(block, size, sought.data(), sought.size()) != nullptr) {
    ++found_in_freed;
  }
}

}  // namespace

// In pairs, for the sanitizers. ThreadSanitizer brings its own, so there the heap is not looked into.
#if !__has_feature(thread_sanitizer)
void* operator new(std::size_t size) {
  void* const block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) {
    throw std::bad_alloc();
  }
  return block;
}
void operator delete(void* block) noexcept {
  look_into(block, block == nullptr ? 0 : ::malloc_usable_size(block));
  std::free(block);
}
void operator delete(void* block, std::size_t size) noexcept {
  look_into(block, size);
  std::free(block);
}
#endif

namespace msp::channel {
namespace {

constexpr std::int64_t kNow = 1'745'409'600;  // Wed, 23 Apr 2025 12:00:00 GMT
const std::string kGuid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
const std::string kHex = "4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59";

class HostClientTest : public testing::Test {
 protected:
  HostClientTest() {
    listener = std::move(*make_tcp_socket());
    const auto listening = bind_and_listen(listener, {{127, 0, 0, 7}, 0}, 4);
    EXPECT_TRUE(listening.ok());
    client.emplace(
        loop, buffers, clock, [](const Ipv4Endpoint&) { return make_tcp_socket(); },
        HostClient::Settings{.host = *local_endpoint(listener.get()), .timeout_ms = 300});
  }

  // Runs the request against a peer that answers with `answer` once `end` has come.
  template <class T>
  std::string seen_by_host(Task<T>& task, std::string_view end, std::string_view answer) {
    std::string bytes;
    Fd peer;
    for (int i = 0; i < 200 && !task.done(); ++i) {
      loop.run_once(5);
      if (!peer) {
        peer.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      }
      char buffer[4096];
      const ssize_t n = peer ? ::recv(peer.get(), buffer, sizeof(buffer), MSG_DONTWAIT) : -1;
      bytes.append(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
      if (n > 0 && bytes.ends_with(end) && !answer.empty()) {
        EXPECT_EQ(::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
      }
    }
    EXPECT_TRUE(task.done());
    return bytes;
  }

  Loop loop;
  http::BufferPool buffers;
  FakeClock clock{kNow * 1'000'000'000, 5'000'000'000};
  Fd listener;
  std::optional<HostClient> client;
};

constexpr std::string_view kHeaders =
    "x-ms-azure-host-date: Wed, 23 Apr 2025 12:00:00 GMT\r\n"
    "host: 127.0.0.7\r\n"
    "x-ms-azure-host-claims: { \"isRoot\": \"true\"}\r\n";

Task<void> keep(Task<Answer<protocol::StatusDocument>> task, Answer<protocol::StatusDocument>& out) {
  out = co_await std::move(task);
}
Task<void> keep(Task<Answer<protocol::KeyDocument>> task, Answer<protocol::KeyDocument>& out) {
  out = co_await std::move(task);
}
Task<void> keep(Task<Answer<bool>> task, Answer<bool>& out) { out = co_await std::move(task); }

TEST_F(HostClientTest, AStatusRequestThatMayBeHeldHasOneHeaderMore) {
  Answer<protocol::StatusDocument> answer;
  auto task = keep(client->status(protocol::Wait{.tag = "t1", .seconds = 0}), answer);
  const std::string bytes = seen_by_host(
      task, "\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-ms-openmsp-wait: t2 30\r\ncontent-length: 145\r\n\r\n"
      R"({"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http",)"
      R"("secureChannelEnabled":false,"version":"2.0","keyGuid":null,"x":"12345678"})");
  EXPECT_TRUE(bytes.ends_with("content-length: 0\r\nmetadata: True \r\nx-ms-openmsp-wait: t1 0\r\n\r\n")) << bytes;
  EXPECT_TRUE(answer.value.has_value()) << answer.why;
  EXPECT_EQ(client->told(), (protocol::Wait{.tag = "t2", .seconds = 30}));
}

TEST_F(HostClientTest, WhatTheHostNoLongerAsksForIsForgotten) {
  const std::string document =
      "content-type: application/json\r\ncontent-length: 142\r\n\r\n"
      R"({"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http",)"
      R"("keyGuid":null,"secureChannelState":"WireserverAndImds","version":"1.0"})";
  for (const protocol::Asks asks : {protocol::Asks{.epoch = 0xa1, .caller = true}, protocol::Asks{}}) {
    const std::string word = protocol::format_asks(asks);
    const std::string header = word.empty() ? word : std::string(protocol::kAsksHeader) + ": " + word + "\r\n";
    Answer<protocol::StatusDocument> answer;
    auto task = keep(client->status(), answer);
    seen_by_host(task, "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + header + document);
    EXPECT_TRUE(answer.value.has_value()) << answer.why;
    EXPECT_EQ(client->asks(), asks) << header;
  }
}

TEST_F(HostClientTest, StatusRequest) {
  Answer<protocol::StatusDocument> answer;
  auto task = keep(client->status(), answer);
  const std::string bytes = seen_by_host(task, "\r\n\r\n",
                                         "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\n"
                                         "date: Wed, 23 Apr 2025 13:00:00 GMT\r\ncontent-length: 142\r\n\r\n"
                                         R"({"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http",)"
                                         R"("keyGuid":null,"secureChannelState":"WireserverAndImds","version":"1.0"})");
  EXPECT_EQ(bytes, "GET /secure-channel/status HTTP/1.1\r\n" + std::string(kHeaders) +
                       "content-length: 0\r\nmetadata: True \r\n\r\n");
  ASSERT_TRUE(answer.value.has_value()) << answer.why;
  EXPECT_EQ(client->time().unix_seconds(clock), kNow + 3600);
}

TEST_F(HostClientTest, AcquireRequest) {
  Answer<protocol::KeyDocument> answer;
  auto task = keep(client->acquire(), answer);
  const std::string body = R"({"authorizationScheme":"Azure-HMAC-SHA256","guid":")" + kGuid +
                           R"(","incarnationId":3,"issued":"2025-04-23T12:00:00Z","key":")" + kHex + R"("})";
  const std::string bytes =
      seen_by_host(task, R"("Azure-HMAC-SHA256"})",
                   "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_EQ(bytes, "POST /secure-channel/key HTTP/1.1\r\n" + std::string(kHeaders) +
                       "content-length: 44\r\nmetadata: True \r\ncontent-type: application/json\r\n\r\n"
                       "{\"authorizationScheme\": \"Azure-HMAC-SHA256\"}");
  ASSERT_TRUE(answer.value.has_value()) << answer.why;
  EXPECT_EQ(answer.value->guid, kGuid);
  EXPECT_EQ(answer.value->incarnation_id, 3U);
  // The block that the key came through is the one that is handed out next: no digit of it may be left.
  http::Buffer block = buffers.take();
  const std::string_view left(block.writable().data(), block.writable().size());
  EXPECT_EQ(left.find(kHex.substr(0, 8)), std::string_view::npos);
}

TEST_F(HostClientTest, AttestationIsSignedOverExactlyItsHeaders) {
  protocol::KeyDocument key;
  key.guid = kGuid;
  key.key_hex = Secret::copy_of(kHex);
  Answer<bool> answer;
  auto task = keep(client->attest(key), answer);
  const std::string bytes = seen_by_host(task, "\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  EXPECT_TRUE(answer.value.has_value()) << answer.why;

  const std::string text =
      "POST\n\ncontent-length:0\nhost:127.0.0.7\nmetadata:True\n"
      "x-ms-azure-host-claims:{ \"isRoot\": \"true\"}\n"
      "x-ms-azure-host-date:Wed, 23 Apr 2025 12:00:00 GMT\n"
      "/secure-channel/key/" +
      kGuid + "/key-attestation\n";
  auto mac = HmacSha256::create(*Secret::from_hex(kHex));
  const auto signature = mac->sign(text);
  EXPECT_EQ(bytes, "POST /secure-channel/key/" + kGuid + "/key-attestation HTTP/1.1\r\n" + std::string(kHeaders) +
                       "content-length: 0\r\nmetadata: True \r\nx-ms-azure-host-authorization: Azure-HMAC-SHA256 " +
                       kGuid + " " + hex_encode(*signature) + "\r\n\r\n");
}

TEST_F(HostClientTest, OnlyA200AcquiresAndAttests) {
  for (const auto& [status, refused] : std::vector<std::pair<int, bool>>{
           {201, false}, {204, false}, {400, true}, {403, true}, {408, false}, {429, false}, {500, false}}) {
    const std::string head = "HTTP/1.1 " + std::to_string(status) + " X\r\ncontent-length: 0\r\n\r\n";
    Answer<protocol::KeyDocument> answer;
    auto task = keep(client->acquire(), answer);
    seen_by_host(task, R"("Azure-HMAC-SHA256"})", status == 204 ? "HTTP/1.1 204 X\r\n\r\n" : head);
    EXPECT_FALSE(answer.value.has_value());
    EXPECT_EQ(answer.refused, refused) << status;
    EXPECT_NE(answer.why.find(std::to_string(status)), std::string::npos) << answer.why;
  }
}

std::string answer_of(std::string_view body) {
  return "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

// The block that the key came through goes to whoever asks for one next: a client of the agent.
TEST_F(HostClientTest, AKeyIsNotLeftInTheBuffers) {
  Answer<protocol::KeyDocument> answer;
  auto task = keep(client->acquire(), answer);
  const std::string body = R"({"authorizationScheme":"Azure-HMAC-SHA256","guid":")" + kGuid +
                           R"(","issued":"2025-04-23T12:00:00Z","key":")" + kHex + R"("})";
  const std::string text = answer_of(body);
  found_in_freed = 0;
  sought = kHex;
  seen_by_host(task, R"("Azure-HMAC-SHA256"})", text);
  sought = {};
  ASSERT_TRUE(answer.value.has_value()) << answer.why;
  EXPECT_EQ(found_in_freed, 0) << "nor on the heap";
  std::vector<http::Buffer> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back(buffers.take());
    const auto bytes = all.back().writable();
    const std::string_view left(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    EXPECT_EQ(left.find(kHex), std::string_view::npos) << i;
  }
}

TEST_F(HostClientTest, AConnectionThatDoesNotComeEndsAtTheDeadlineAlsoWhereTheAnswerMayBeHeld) {
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  std::vector<Fd> full;  // what the kernel queues for nobody; the next one's SYN stays without an answer
  for (int i = 0; i < 8; ++i) {
    full.push_back(std::move(*make_tcp_socket()));
    const auto to = *local_endpoint(listener.get());
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(to.port);
    std::memcpy(&at.sin_addr, to.address.data(), 4);
    (void)::connect(full.back().get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at));
  }
  Answer<protocol::StatusDocument> answer;
  const auto began = SystemClock().boottime_ms();
  auto task = keep(client->status(protocol::Wait{.tag = "t1", .seconds = 20}), answer);
  while (!task.done() && SystemClock().boottime_ms() < began + 5'000) {
    loop.run_once(10);
  }
  ASSERT_TRUE(task.done());
  EXPECT_NE(answer.why.find("no connection within 300 ms"), std::string::npos) << answer.why;
}

TEST_F(HostClientTest, SilenceEndsAtTheDeadline) {
  Answer<protocol::StatusDocument> answer;
  auto task = keep(client->status(), answer);
  seen_by_host(task, "\r\n\r\n", "");
  EXPECT_FALSE(answer.value.has_value());
  EXPECT_FALSE(answer.refused);
}

TEST_F(HostClientTest, NobodyThere) {
  listener.reset();
  Answer<protocol::StatusDocument> answer;
  auto task = keep(client->status(), answer);
  for (int i = 0; i < 100 && !task.done(); ++i) {
    loop.run_once(5);
  }
  EXPECT_FALSE(answer.value.has_value());
  EXPECT_NE(answer.why.find("no connection"), std::string::npos) << answer.why;
}

TEST(HostTime, RunsOnTheBootClockAndIgnoresTheGrainOfDates) {
  FakeClock clock(kNow * 1'000'000'000, 1'000'000'000'000);
  HostTime time;
  EXPECT_EQ(time.unix_seconds(clock), kNow);
  time.heard("not a date", clock.boottime_ms());
  EXPECT_FALSE(time.offset_ms().has_value());
  time.heard("Wed, 23 Apr 2025 12:30:00 GMT", clock.boottime_ms());
  EXPECT_EQ(time.unix_seconds(clock), kNow + 1800);
  const auto offset = time.offset_ms();
  clock.advance_ms(900);
  time.heard("Wed, 23 Apr 2025 12:30:00 GMT", clock.boottime_ms());
  EXPECT_EQ(time.offset_ms(), offset);
  clock.step_realtime_ns(-7'200'000'000'000);
  clock.advance_ms(100'000);
  EXPECT_EQ(time.unix_seconds(clock), kNow + 1800 + 101) << "a step of the system clock does not move host time";
  time.heard("Wed, 23 Apr 2025 13:30:00 GMT", clock.boottime_ms());
  EXPECT_EQ(time.unix_seconds(clock), kNow + 5400);
}

}  // namespace
}  // namespace msp::channel
