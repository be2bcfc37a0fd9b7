// SPDX-License-Identifier: Apache-2.0
#include "http/body.h"

#include <gtest/gtest.h>

#include <string>

#include "http/head_reader.h"
#include "http/linger.h"
#include "tests/support/loop.h"

namespace msp::http {
namespace {

struct Outcome {
  std::string data;
  BodyPiece last;
  bool ended = false;
};

Task<> read_all(BodyReader& reader, Outcome& out, Loop& loop, std::uint64_t ms = 5000) {
  for (;;) {
    const BodyPiece piece = co_await reader.next(loop.after_ms(ms));
    if (piece.status != BodyStatus::kPiece) {
      out.last = piece;
      out.ended = true;
      co_return;
    }
    out.data.append(piece.data);
  }
}

/// The body arrives in two parts: the first is in the buffer already, the second comes through the socket.
Outcome read_split(std::string_view bytes, std::size_t buffered, Framing framing, std::uint64_t limit, bool close,
                   std::string* left = nullptr) {
  Loop loop;
  auto pair = test::make_pair(loop);
  BufferPool pool;
  Buffer buffer = pool.take();
  buffer.append(bytes.substr(0, buffered));
  BodyReader reader(*pair.ours, buffer, framing, limit);
  Outcome out;
  const auto task = read_all(reader, out, loop, close ? 5000 : 30);
  test::send_all(pair.peer.get(), bytes.substr(buffered));
  if (close) {
    ::shutdown(pair.peer.get(), SHUT_WR);
  }
  test::run_until(loop, [&] { return out.ended; });
  EXPECT_EQ(reader.received(), out.data.size());
  if (left != nullptr) {
    *left = std::string(buffer.readable()) + test::receive(pair.ours->fd());
  }
  return out;
}

constexpr Framing kFive{BodyKind::kLength, 5};
constexpr Framing kChunkedBody{BodyKind::kChunked, 0};
constexpr Framing kToEnd{BodyKind::kUntilClose, 0};

TEST(BodyReader, KeepsWhatFollowsForEverySplit) {
  for (std::size_t buffered = 0; buffered <= 12; ++buffered) {
    std::string left;
    const Outcome out = read_split("helloGET /ne", buffered, kFive, 5, true, &left);
    EXPECT_EQ(out.last.status, BodyStatus::kEnd) << buffered;
    EXPECT_EQ(out.data, "hello");
    EXPECT_EQ(left, "GET /ne");
  }
  constexpr std::string_view chunked = "3\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\nGET /ne";
  for (std::size_t buffered = 0; buffered <= chunked.size(); ++buffered) {
    std::string left;
    const Outcome out = read_split(chunked, buffered, kChunkedBody, 5, true, &left);
    EXPECT_EQ(out.last.status, BodyStatus::kEnd) << buffered;
    EXPECT_EQ(out.data, "abcde");
    EXPECT_EQ(left, "GET /ne");
  }
}

TEST(BodyReader, NoBodyReadsNothing) {
  std::string left;
  EXPECT_EQ(read_split("GET /", 5, {}, 0, true, &left).last.status, BodyStatus::kEnd);
  EXPECT_EQ(left, "GET /");
}

TEST(BodyReader, UntilClose) {
  for (std::size_t buffered = 0; buffered <= 5; ++buffered) {
    const Outcome out = read_split("hello", buffered, kToEnd, 5, true);
    EXPECT_EQ(out.last.status, BodyStatus::kEnd);
    EXPECT_EQ(out.data, "hello");
  }
}

TEST(BodyReader, EarlyCloseIsTold) {
  EXPECT_EQ(read_split("hell", 2, kFive, 5, true).last.status, BodyStatus::kEof);
  EXPECT_EQ(read_split("3\r\nab", 2, kChunkedBody, 5, true).last.status, BodyStatus::kEof);
  EXPECT_EQ(read_split("3\r\nabc\r\n0\r\n", 2, kChunkedBody, 5, true).last.status, BodyStatus::kEof);
}

TEST(BodyReader, StallIsATimeout) {
  EXPECT_EQ(read_split("hell", 2, kFive, 5, false).last.status, BodyStatus::kTimeout);
  EXPECT_EQ(read_split("3\r\nab", 2, kChunkedBody, 5, false).last.status, BodyStatus::kTimeout);
}

TEST(BodyReader, LimitIsExactAndNothingBeyondItComesOut) {
  EXPECT_EQ(read_split("hello", 0, kFive, 4, true).last.status, BodyStatus::kTooLarge);
  for (std::size_t buffered = 0; buffered < 8; ++buffered) {
    const Outcome chunked = read_split("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", buffered, kChunkedBody, 5, true);
    EXPECT_EQ(chunked.last.status, BodyStatus::kTooLarge);
    EXPECT_LE(chunked.data.size(), 5U);
  }
  const Outcome to_end = read_split("hello!", 3, kToEnd, 5, true);
  EXPECT_EQ(to_end.last.status, BodyStatus::kTooLarge);
  EXPECT_LE(to_end.data.size(), 5U);
}

TEST(BodyReader, BadChunkCarriesItsReason) {
  const Outcome out = read_split("3;x\r\nabc\r\n", 1, kChunkedBody, 5, true);
  EXPECT_EQ(out.last.status, BodyStatus::kBad);
  EXPECT_EQ(out.last.refusal.code, "bad_chunk");
}

TEST(BodyReader, CancelledStreamIsAnError) {
  Loop loop;
  auto pair = test::make_pair(loop);
  BufferPool pool;
  Buffer buffer = pool.take();
  BodyReader reader(*pair.ours, buffer, kFive);
  Outcome out;
  const auto task = read_all(reader, out, loop);
  pair.ours->cancel();
  test::run_until(loop, [&] { return out.ended; });
  EXPECT_EQ(out.last.status, BodyStatus::kError);
}

TEST(HeadReader, TellsHowAConnectionEnded) {
  const auto outcome = [](std::string_view bytes, bool close) {
    Loop loop;
    auto pair = test::make_pair(loop);
    BufferPool pool;
    Buffer buffer = pool.take();
    RequestHead head;
    const auto task = read_request_head(*pair.ours, buffer, head, loop.after_ms(close ? 5000 : 20));
    test::send_all(pair.peer.get(), bytes);
    if (close) {
      ::shutdown(pair.peer.get(), SHUT_WR);
    }
    HeadRead read;
    bool done = false;
    const auto waiter = [](const Task<HeadRead>& from, HeadRead& to, bool& flag) -> Task<> {
      to = co_await const_cast<Task<HeadRead>&>(from);
      flag = true;
    }(task, read, done);
    test::run_until(loop, [&] { return done; });
    return read;
  };
  EXPECT_EQ(outcome("", true).status, HeadStatus::kClosed);
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\n", true).status, HeadStatus::kEof);
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\n", false).status, HeadStatus::kTimeout);
  EXPECT_TRUE(outcome("G", false).any_bytes);
  EXPECT_FALSE(outcome("", false).any_bytes);
  EXPECT_EQ(outcome("GET / HTTP/1.1\n", false).refusal.code, "bad_line_end");
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\n\r\nrest", false).size, 18U);
}

TEST(HeadReader, RoomIsMadeForAHeadBehindAnotherOne) {
  Loop loop;
  auto pair = test::make_pair(loop);
  BufferPool pool;
  Buffer buffer = pool.take();
  // The first part of a large head sits at the very end of the block.
  const std::string start = "GET / HTTP/1.1\r\nx: ";
  buffer.append(std::string(Buffer::kCapacity - start.size(), '.') + start);
  buffer.consume(Buffer::kCapacity - start.size());
  RequestHead head;
  const auto task = read_request_head(*pair.ours, buffer, head, loop.after_ms(5000));
  test::send_all(pair.peer.get(), std::string(60'000, 'y') + "\r\n\r\n");
  test::run_until(loop, [&] { return task.done(); });
  ASSERT_EQ(head.headers.size(), 1U);
  EXPECT_EQ(head.headers[0].value.size(), 60'000U);
}

TEST(Linger, DropsWhatStillComesAndStopsAtItsLimits) {
  Loop loop;
  BufferPool pool;
  for (const bool close : {true, false}) {
    auto pair = test::make_pair(loop);
    Buffer buffer = pool.take();
    const auto task = linger(*pair.ours, buffer, loop.after_ms(close ? 5000 : 30));
    bool closed = false;
    EXPECT_EQ(test::receive(pair.peer.get(), &closed), "");
    EXPECT_TRUE(closed);
    test::send_all(pair.peer.get(), "more");
    if (close) {
      pair.peer.reset();
    }
    test::run_until(loop, [&] { return task.done(); });
  }
  auto pair = test::make_pair(loop);
  Buffer buffer = pool.take();
  test::send_all(pair.peer.get(), "0123456789");
  const auto task = linger(*pair.ours, buffer, loop.after_ms(60'000), 10);
  test::run_until(loop, [&] { return task.done(); });
}

}  // namespace
}  // namespace msp::http
