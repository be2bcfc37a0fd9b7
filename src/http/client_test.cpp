// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/loop.h"

namespace msp::http {
namespace {

struct Exchange {
  std::optional<Result<ClientResponse>> result;
  std::string sent;
};

Task<> run(Stream& stream, BufferPool& pool, const ClientRequest& request, Deadline deadline, ClientLimits limits,
           std::optional<Result<ClientResponse>>& out) {
  auto answer = co_await exchange(stream, pool, request, deadline, limits);
  out.emplace(std::move(answer));
}

/// The peer answers with `answer` once it has seen the request, then closes if `close`.
Exchange talk(const ClientRequest& request, std::string_view answer, bool close = false, ClientLimits limits = {}) {
  Loop loop;
  auto pair = test::make_pair(loop);
  BufferPool pool;
  Exchange out;
  const auto task = run(*pair.ours, pool, request, loop.after_ms(close ? 5000 : 50), limits, out.result);
  loop.run_once(0);  // writes leave at the end of a turn
  out.sent = test::receive(pair.peer.get());
  test::send_all(pair.peer.get(), answer);
  if (close) {
    pair.peer.reset();
  }
  test::run_until(loop, [&] { return out.result.has_value(); });
  EXPECT_EQ(pool.in_use(), 0U);
  return out;
}

TEST(Client, WritesExactlyTheHeadersGiven) {
  const std::vector<Header> headers = {
      {"x-ms-azure-host-date", "d"}, {"Host", "168.63.129.16"}, {"content-length", "2"}, {"metadata", "True "}};
  const Exchange with = talk({.method = "POST", .target = "/a?b", .headers = headers, .body = "{}"},
                             "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  EXPECT_EQ(with.sent,
            "POST /a?b HTTP/1.1\r\nx-ms-azure-host-date: d\r\nhost: 168.63.129.16\r\ncontent-length: 2\r\n"
            "metadata: True \r\n\r\n{}");
  const Exchange without =
      talk({.method = "PUT", .target = "/", .headers = {}, .body = "abc"}, "HTTP/1.1 204 N\r\n\r\n");
  EXPECT_EQ(without.sent, "PUT / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc");
}

TEST(Client, ReadsEveryKindOfBody) {
  const Exchange length = talk({}, "HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: 5\r\n\r\nhello");
  ASSERT_TRUE(length.result->ok());
  EXPECT_EQ((*length.result)->status, 200);
  EXPECT_EQ((*length.result)->body, "hello");
  EXPECT_TRUE((*length.result)->reusable);
  ASSERT_NE((*length.result)->header("x-a"), nullptr);
  EXPECT_EQ(*(*length.result)->header("X-A"), "b");
  EXPECT_EQ((*length.result)->header("x-b"), nullptr);

  const Exchange chunked = talk({}, "HTTP/1.1 403 F\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  ASSERT_TRUE(chunked.result->ok());
  EXPECT_EQ((*chunked.result)->body, "hello");
  EXPECT_TRUE((*chunked.result)->reusable);

  const Exchange closed = talk({}, "HTTP/1.1 200 OK\r\n\r\nhello", true);
  ASSERT_TRUE(closed.result->ok());
  EXPECT_EQ((*closed.result)->body, "hello");
  EXPECT_FALSE((*closed.result)->reusable);

  const Exchange head = talk({.method = "HEAD"}, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
  ASSERT_TRUE(head.result->ok());
  EXPECT_EQ((*head.result)->body, "");

  const Exchange once = talk({}, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  EXPECT_FALSE((*once.result)->reusable);
  const Exchange surplus = talk({}, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
  EXPECT_FALSE((*surplus.result)->reusable);
}

TEST(Client, SkipsInterimAnswersButNotForever) {
  std::string interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
  EXPECT_TRUE(talk({}, interim + "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").result->ok());
  std::string flood;
  for (int i = 0; i < 100; ++i) {
    flood += "HTTP/1.1 100 Continue\r\n\r\n";
  }
  EXPECT_FALSE(talk({}, flood).result->ok());
  EXPECT_FALSE(talk({}, "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n").result->ok());
}

TEST(Client, HostileAnswersAreUpstreamErrors) {
  const auto error = [](std::string_view answer, bool close = false) {
    const Exchange exchanged = talk({}, answer, close, {.max_body = 8});
    EXPECT_FALSE(exchanged.result->ok()) << answer;
    EXPECT_EQ(exchanged.result->error().source, Source::kUpstream) << answer;
    return exchanged.result->error();
  };
  EXPECT_EQ(error("").code, ETIMEDOUT);
  EXPECT_EQ(error("HTTP/1.1 200 OK\r\n").code, ETIMEDOUT);
  EXPECT_EQ(error("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel").code, ETIMEDOUT);
  EXPECT_EQ(error("", true).code, ECONNRESET);
  EXPECT_EQ(error("HTTP/1.1 200 OK\r\n", true).code, ECONNRESET);
  EXPECT_EQ(error("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", true).code, ECONNRESET);
  error("HTTP/1.1 200 OK\nx: y\n\n");
  error("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n");
  error("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\n\r\n");
  error("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello1234");
  error("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello1234\r\n0\r\n\r\n");
  error("HTTP/1.1 200 OK\r\n\r\nhello1234", true);
}

TEST(Client, HeadersThatWouldSplitTheRequestAreABug) {
  const std::vector<Header> headers = {{"x", "a\r\nhost: evil"}};
  const Exchange exchanged = talk({.method = "GET", .target = "/", .headers = headers, .body = {}}, "");
  ASSERT_FALSE(exchanged.result->ok());
  EXPECT_EQ(exchanged.result->error().source, Source::kBug);
  EXPECT_EQ(exchanged.sent, "");
}

TEST(Client, AnswerOfAPeerThatStopsReadingIsNotLost) {
  Loop loop;
  auto pair = test::make_pair(loop);
  BufferPool pool;
  const std::string body(8 << 20, 'x');
  const ClientRequest request{.method = "PUT", .target = "/", .headers = {}, .body = body};
  std::optional<Result<ClientResponse>> out;
  const auto task = run(*pair.ours, pool, request, loop.after_ms(5000), {}, out);
  test::send_all(pair.peer.get(), "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n");
  pair.peer.reset();
  test::run_until(loop, [&] { return out.has_value(); });
  if (out->ok()) {  // a unix socket may drop the answer with the reset
    EXPECT_EQ((*out)->status, 413);
    EXPECT_FALSE((*out)->reusable);
  } else {
    EXPECT_EQ(out->error().source, Source::kUpstream);
  }
}

}  // namespace
}  // namespace msp::http
