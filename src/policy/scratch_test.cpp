// SPDX-License-Identifier: Apache-2.0
#include "policy/scratch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace msp::policy {
namespace {

char* fill(std::pmr::memory_resource& from, std::size_t size, char with) {
  auto* const bytes = static_cast<char*>(from.allocate(size, 8));
  std::memset(bytes, with, size);
  return bytes;
}

TEST(Scratch, PiecesDoNotShareBytes) {
  ThreadScratch scratch;
  std::vector<std::pair<char*, std::size_t>> pieces;
  for (int i = 0; i < 100; ++i) {
    const std::size_t size = 1 + 37U * static_cast<std::size_t>(i);
    pieces.emplace_back(fill(scratch, size, static_cast<char>(i)), size);
  }
  for (int i = 0; i < 100; ++i) {
    const auto& [bytes, size] = pieces[static_cast<std::size_t>(i)];
    EXPECT_EQ(std::count(bytes, bytes + size, static_cast<char>(i)), static_cast<std::ptrdiff_t>(size)) << i;
    scratch.deallocate(bytes, size, 8);
  }
}

TEST(Scratch, WhatWasTakenIsGivenBackAtTheEnd) {
  const void* before = nullptr;
  for (int round = 0; round < 3; ++round) {
    ThreadScratch scratch;
    void* const piece = scratch.allocate(ThreadScratch::kThreadBytes / 2, 8);
    EXPECT_TRUE(before == nullptr || before == piece);
    before = piece;
    const ThreadScratch inner;
  }
}

TEST(Scratch, MoreThanTheBlockComesFromElsewhere) {
  ThreadScratch scratch;
  for (const std::size_t size : {ThreadScratch::kThreadBytes, ThreadScratch::kThreadBytes + 1, std::size_t{1} << 20}) {
    char* const bytes = fill(scratch, size, 'x');
    scratch.deallocate(bytes, size, 8);
  }
}

}  // namespace
}  // namespace msp::policy
