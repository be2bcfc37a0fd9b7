// SPDX-License-Identifier: Apache-2.0
#include "http/buffer.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace msp::http {
namespace {

TEST(Buffer, ReadableThenFreeSpace) {
  BufferPool pool;
  Buffer buffer = pool.take();
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.writable().size(), Buffer::kCapacity);
  EXPECT_EQ(buffer.append("hello world"), 11U);
  buffer.consume(6);
  EXPECT_EQ(buffer.readable(), "world");
  EXPECT_EQ(buffer.writable().size(), Buffer::kCapacity - 11);
  buffer.compact();
  EXPECT_EQ(buffer.readable(), "world");
  EXPECT_EQ(buffer.writable().size(), Buffer::kCapacity - 5);
  buffer.consume(5);
  EXPECT_EQ(buffer.writable().size(), Buffer::kCapacity);
  EXPECT_EQ(buffer.append(std::string(Buffer::kCapacity + 1, 'x')), Buffer::kCapacity);
  EXPECT_EQ(buffer.append("x"), 0U);
}

TEST(Buffer, SplitKeepsTheHeadWhereItIs) {
  BufferPool pool;
  Buffer buffer = pool.take();
  buffer.append("skip|head|body");
  buffer.consume(5);
  const std::string_view head = buffer.readable().substr(0, 5);
  Buffer rest = pool.take();
  buffer.split(5, rest);
  EXPECT_EQ(head, "head|");
  EXPECT_EQ(buffer.readable().data(), head.data());
  EXPECT_EQ(buffer.readable(), "head|");
  EXPECT_EQ(rest.readable(), "body");
}

TEST(BufferPool, ReusesTheLastOneGivenBack) {
  BufferPool pool(1);
  Buffer first = pool.take();
  Buffer second = pool.take();
  EXPECT_EQ(pool.in_use(), 2U);
  const char* const memory = first.readable().data();
  second.release();
  first.release();  // the cache is full: freed
  EXPECT_FALSE(first);
  EXPECT_EQ(pool.cached(), 1U);
  EXPECT_EQ(pool.in_use(), 0U);
  Buffer third = pool.take();
  EXPECT_NE(third.readable().data(), memory);
  third.append("left over");
  third.release();
  EXPECT_TRUE(pool.take().empty());
}

TEST(BufferPool, FreesWhatNobodyNeededForAWhile) {
  constexpr std::size_t kBurst = 40;
  BufferPool pool;
  {
    std::vector<Buffer> burst;
    for (std::size_t i = 0; i < kBurst; ++i) {
      burst.push_back(pool.take());
    }
  }
  pool.free_unneeded();
  EXPECT_EQ(pool.cached(), kBurst) << "all of them were needed a moment ago";
  {
    std::vector<Buffer> fewer;
    for (std::size_t i = 0; i < kBurst / 2; ++i) {
      fewer.push_back(pool.take());
    }
  }
  pool.free_unneeded();
  EXPECT_EQ(pool.cached(), kBurst / 2);
  pool.free_unneeded();
  const std::size_t kept = pool.cached();
  EXPECT_GT(kept, 0U);
  EXPECT_LT(kept, kBurst / 2);
  pool.free_unneeded();
  EXPECT_EQ(pool.cached(), kept) << "a few stay";
}

TEST(Buffer, MovesLeaveNothingBehind) {
  BufferPool pool;
  Buffer a = pool.take();
  a.append("x");
  Buffer b = std::move(a);
  // NOLINTBEGIN(bugprone-use-after-move): what is left is the point
  EXPECT_FALSE(a);
  EXPECT_TRUE(a.empty());
  // NOLINTEND(bugprone-use-after-move)
  EXPECT_EQ(b.readable(), "x");
  Buffer c = pool.take();
  c = std::move(b);
  EXPECT_EQ(c.readable(), "x");
  EXPECT_EQ(pool.in_use(), 1U);
}

}  // namespace
}  // namespace msp::http
