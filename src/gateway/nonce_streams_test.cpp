// SPDX-License-Identifier: Apache-2.0
#include "gateway/nonce_streams.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace msp::gateway {
namespace {

using Use = NonceStreams::Use;
constexpr std::uint64_t kKeep = 601'000;

TEST(NonceStreams, EachNonceIsTheFirstOnce) {
  NonceStreams streams;
  for (const std::uint64_t counter : {5U, 6U, 4U, 1U, 100U, 99U}) {
    EXPECT_EQ(streams.take(7, counter, 0, kKeep), Use::kFirst) << counter;
    EXPECT_EQ(streams.take(7, counter, 0, kKeep), Use::kAgain) << counter;
  }
  EXPECT_EQ(streams.take(8, 5, 0, kKeep), Use::kFirst) << "another stream has counters of its own";
}

TEST(NonceStreams, BehindTheWindowNobodyCanTell) {
  constexpr std::uint64_t kFar = 1'000'000;
  NonceStreams streams;
  EXPECT_EQ(streams.take(7, kFar, 0, kKeep), Use::kFirst);
  EXPECT_EQ(streams.take(7, kFar - NonceStreams::kWindow + 1, 0, kKeep), Use::kFirst);
  EXPECT_EQ(streams.take(7, kFar - NonceStreams::kWindow, 0, kKeep), Use::kTooOld);
  EXPECT_EQ(streams.take(7, 1, 0, kKeep), Use::kTooOld);
}

// Against a set that forgets nothing.
TEST(NonceStreams, AgreesWithASetOfAll) {
  std::mt19937_64 random(20261128);
  NonceStreams streams;
  std::set<std::uint64_t> used;
  std::uint64_t highest = 0;
  std::uint64_t again = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t jump = random() % 50 == 0 ? random() % (3 * NonceStreams::kWindow) : random() % 4;
    const std::uint64_t back = random() % 3 == 0 ? random() % (2 * NonceStreams::kWindow) : 0;
    const std::uint64_t counter = std::max<std::uint64_t>(1, highest + jump - std::min(back, highest + jump));
    const Use use = streams.take(7, counter, 0, kKeep);
    if (counter + NonceStreams::kWindow <= highest) {
      ASSERT_EQ(use, Use::kTooOld) << counter << " of " << highest;
      continue;
    }
    ASSERT_EQ(use, used.insert(counter).second ? Use::kFirst : Use::kAgain) << counter << " of " << highest;
    again += use == Use::kAgain;
    highest = std::max(highest, counter);
  }
  EXPECT_GT(again, 1'000U);
}

TEST(NonceStreams, AStreamThatWasClosedIsNeverOpenedAgain) {
  NonceStreams streams;
  for (std::uint64_t stream = 0; stream <= NonceStreams::kMostOpen; ++stream) {
    EXPECT_EQ(streams.take(stream, 1, stream, kKeep), Use::kFirst);
  }
  EXPECT_EQ(streams.take(0, 1, 10, kKeep), Use::kTooOld) << "a replay into the stream that made way";
  EXPECT_EQ(streams.take(0, 2, 10, kKeep), Use::kTooOld);
  EXPECT_EQ(streams.take(1, 2, 10, kKeep), Use::kFirst) << "used last, but not longest ago";
  // By then the date of whatever belongs to it is refused.
  EXPECT_EQ(streams.take(99, 1, 10 + kKeep + 1, kKeep), Use::kFirst);
}

TEST(NonceStreams, AStreamInUseIsNotForgotten) {
  NonceStreams streams;
  EXPECT_EQ(streams.take(7, 1, 0, kKeep), Use::kFirst);
  EXPECT_EQ(streams.take(7, 2, kKeep - 1, kKeep), Use::kFirst);
  EXPECT_EQ(streams.take(8, 1, kKeep + 1, kKeep), Use::kFirst) << "whoever opens one, sweeps";
  EXPECT_EQ(streams.take(7, 2, kKeep + 1, kKeep), Use::kAgain);
}

TEST(NonceStreams, StreamsAreBoundedUntilTheyMayBeForgotten) {
  NonceStreams streams;
  std::uint64_t stream = 0;
  while (streams.take(stream, 1, 1, kKeep) == Use::kFirst) {
    ++stream;
  }
  EXPECT_EQ(stream, NonceStreams::kMostOpen + NonceStreams::kMostClosed);
  EXPECT_EQ(streams.take(stream, 1, 2, kKeep), Use::kTooMany);
  EXPECT_EQ(streams.take(stream - 1, 2, 2, kKeep), Use::kFirst) << "those that are open go on";
  EXPECT_EQ(streams.take(stream, 1, 3 + kKeep, kKeep), Use::kFirst);
}

}  // namespace
}  // namespace msp::gateway
