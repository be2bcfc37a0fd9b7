// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroups.h"

#include <gtest/gtest.h>

#include <map>

namespace msp::identity {
namespace {

using Found = CgroupTable::Found;

class FakeReader final : public CgroupReader {
 public:
  Result<std::optional<std::string>> path_of(std::uint64_t id) override {
    ++asked;
    if (broken) {
      return bug("no");
    }
    const auto found = paths.find(id);
    return found == paths.end() ? std::optional<std::string>() : std::optional(found->second);
  }
  bool has_units() override { return units; }

  std::map<std::uint64_t, std::string> paths;
  bool broken = false;
  bool units = true;
  int asked = 0;
};

class CgroupsTest : public testing::Test {
 protected:
  CgroupsTest() {
    reader_.paths[7] = "/system.slice/a.service";
    cgroups_.want(true, true);
  }
  Found find(std::uint64_t id) {
    place_.reset();
    return cgroups_.table()->find(id, place_);
  }

  FakeReader reader_;
  Cgroups cgroups_{reader_};
  std::shared_ptr<const CgroupPlace> place_;
};

TEST_F(CgroupsTest, IsIdleUntilRulesAsk) {
  EXPECT_FALSE(cgroups_.table()->idle());
  cgroups_.look_up(7, 1);
  ASSERT_EQ(find(7), Found::kPlace);
  cgroups_.want(false, false);
  EXPECT_TRUE(cgroups_.table()->idle());
  cgroups_.look_up(7, 2);
  EXPECT_EQ(cgroups_.table()->ticket(), 2U);
  EXPECT_EQ(find(7), Found::kUnknown);
  EXPECT_EQ(reader_.asked, 1);
}

TEST_F(CgroupsTest, RulesWithUnitsWhereThereAreNoneAreSaidOnce) {
  const auto said = [this](bool places, bool units) {
    testing::internal::CaptureStderr();
    cgroups_.want(places, units);
    return testing::internal::GetCapturedStderr();
  };
  reader_.units = false;
  cgroups_.want(false, false);
  EXPECT_EQ(said(true, false), "");
  EXPECT_NE(said(true, true).find("the unified cgroup hierarchy holds none"), std::string::npos);
  EXPECT_EQ(said(true, true), "");
  reader_.units = true;
  cgroups_.want(true, false);
  EXPECT_EQ(said(true, true), "");
}

TEST_F(CgroupsTest, EachIdIsAskedForOnce) {
  EXPECT_EQ(find(7), Found::kUnknown);
  cgroups_.look_up(7, 1);
  cgroups_.look_up(7, 2);
  EXPECT_EQ(find(7), Found::kPlace);
  EXPECT_EQ(place_->unit, "a.service");
  EXPECT_EQ(reader_.asked, 1);
}

TEST_F(CgroupsTest, WhatIsGoneStaysGone) {
  cgroups_.look_up(9, 1);
  EXPECT_EQ(find(9), Found::kGone);
  EXPECT_EQ(place_, nullptr);
  EXPECT_FALSE(cgroups_.forget_failures());
  EXPECT_EQ(find(9), Found::kGone);
}

TEST_F(CgroupsTest, AFailureIsTriedAgain) {
  reader_.broken = true;
  cgroups_.look_up(7, 1);
  cgroups_.look_up(7, 2);
  EXPECT_EQ(find(7), Found::kFailed);
  EXPECT_EQ(reader_.asked, 1);
  reader_.broken = false;
  EXPECT_TRUE(cgroups_.forget_failures());
  EXPECT_EQ(find(7), Found::kUnknown);
  cgroups_.look_up(7, 3);
  EXPECT_EQ(find(7), Found::kPlace);
}

TEST_F(CgroupsTest, IsBoundedAndForgetsTheOldest) {
  cgroups_.look_up(7, 1);
  const auto before = cgroups_.table();
  for (std::uint64_t id = 1000; id < 1000 + Cgroups::kMost; ++id) {
    cgroups_.look_up(id, id);
  }
  EXPECT_EQ(cgroups_.table()->size(), Cgroups::kMost);
  EXPECT_EQ(find(7), Found::kUnknown);
  EXPECT_EQ(find(1000), Found::kGone);
  EXPECT_EQ(before->find(7, place_), Found::kPlace) << "a snapshot does not change";
}

}  // namespace
}  // namespace msp::identity
