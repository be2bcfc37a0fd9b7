// SPDX-License-Identifier: Apache-2.0
#include "proxy/places.h"

#include <gtest/gtest.h>

#include "identity/fake_source.h"

namespace msp::proxy {
namespace {

// Those who come and go hold nothing: not of a user's part, of the others' part, nor of the whole.
TEST(Places, WhatIsGivenBackIsThereAgain) {
  Places places(4, 2);
  identity::ConnectionIdentity nobody;
  for (int i = 0; i < 10; ++i) {
    for (const auto& caller :
         {identity::fake_identity(1000), identity::fake_identity(1001), nobody, identity::fake_identity(0)}) {
      ASSERT_EQ(places.room_for(caller), Places::Room::kThereIs);
      places.take(caller);
      ASSERT_EQ(places.room_for(caller), Places::Room::kThereIs);
      places.take(caller);
      EXPECT_EQ(places.taken(), 2U);
      places.give_back(caller);
      places.give_back(caller);
      EXPECT_EQ(places.taken(), 0U);
    }
  }
}

TEST(Places, OneThatIsGivenBackMakesRoomForOne) {
  Places places(4, 4);
  const auto user = identity::fake_identity(1000);
  for (int i = 0; i < 3; ++i) {
    places.take(user);
  }
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(places.room_for(identity::fake_identity(1001)), Places::Room::kNoneInAll) << "the last is root's";
    places.give_back(user);
    ASSERT_EQ(places.room_for(user), Places::Room::kThereIs);
    places.take(user);
  }
}

// Uids come and go for as long as a machine runs: what is known of them is bounded by those who are here now.
TEST(Places, OfAUserWhoHoldsNothingNothingIsKept) {
  Places places(4, 4);
  const auto stays = identity::fake_identity(1000);
  places.take(stays);
  for (std::uint32_t uid = 2000; uid < 3000; ++uid) {
    const auto passes = identity::fake_identity(uid);
    places.take(passes);
    places.take(passes);
    EXPECT_EQ(places.users(), 2U);
    places.give_back(passes);
    EXPECT_EQ(places.users(), 2U) << "one is left";
    places.give_back(passes);
    ASSERT_EQ(places.users(), 1U) << uid;
  }
  places.take(identity::fake_identity(0));
  EXPECT_EQ(places.users(), 1U) << "root is not counted";
  places.give_back(stays);
  EXPECT_EQ(places.users(), 0U);
}

}  // namespace
}  // namespace msp::proxy
