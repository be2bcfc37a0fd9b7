// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_place.h"

#include <gtest/gtest.h>

#include <string>

namespace msp::identity {
namespace {

const std::string kId(64, 'a');
const std::string kOtherId(64, 'b');

std::string unit_of(std::string path) { return place_in(std::move(path)).unit; }
std::string container_of(std::string path) { return place_in(std::move(path)).container; }

TEST(CgroupPlace, TheUnitIsTheFirstComponentBelowSlices) {
  EXPECT_EQ(unit_of("/system.slice/walinuxagent.service"), "walinuxagent.service");
  EXPECT_EQ(unit_of("/walinuxagent.service"), "walinuxagent.service");
  EXPECT_EQ(unit_of("/init.scope"), "init.scope");
  EXPECT_EQ(unit_of("/a.slice/a-b.slice/x.service/payload/deep"), "x.service");
  EXPECT_EQ(unit_of("/user.slice/user-1000.slice/session-3.scope"), "session-3.scope");
  EXPECT_EQ(unit_of("/system.slice/getty@tty1.service"), "getty@tty1.service");
}

TEST(CgroupPlace, WhatIsBelowAUnitIsThatUnitWhateverItIsCalled) {
  EXPECT_EQ(unit_of("/user.slice/user-1000.slice/user@1000.service/app.slice/walinuxagent.service"),
            "user@1000.service");
  EXPECT_EQ(unit_of("/user.slice/user-1000.slice/user@1000.service/system.slice/walinuxagent.service"),
            "user@1000.service");
  EXPECT_EQ(unit_of("/system.slice/web.service/walinuxagent.service"), "web.service");
}

TEST(CgroupPlace, NoUnit) {
  for (const char* path :
       {"/", "", "/system.slice", "/system.slice/plain", "/docker/walinuxagent.service",
        "/somebody/walinuxagent.service", "/system.slice/.service", "/system.slice/plain/x.service"}) {
    EXPECT_EQ(unit_of(path), "") << path;
  }
}

TEST(CgroupPlace, SystemdsEscapeIsTakenOff) {
  EXPECT_EQ(unit_of("/system.slice/_memory.service"), "memory.service");
  EXPECT_EQ(unit_of("/system.slice/__a.service"), "_a.service");
}

TEST(CgroupPlace, ContainersOfTheUsualRuntimes) {
  for (const std::string& path :
       {"/system.slice/docker-" + kId + ".scope", "/machine.slice/libpod-" + kId + ".scope",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" + kId + ".scope",
        "/kubepods.slice/kubepods-pod1.slice/crio-" + kId + ".scope/init", "/docker/" + kId, "/docker/" + kId + "/x",
        "/kubepods/besteffort/pod0a1b/" + kId, "/kubepods/pod0a1b/crio-" + kId, "/libpod_parent/libpod-" + kId}) {
    EXPECT_EQ(container_of(path), kId) << path;
  }
  EXPECT_EQ(unit_of("/system.slice/docker-" + kId + ".scope"), "docker-" + kId + ".scope");
}

TEST(CgroupPlace, TheOutermostContainerCounts) {
  EXPECT_EQ(container_of("/system.slice/docker-" + kId + ".scope/docker-" + kOtherId + ".scope"), kId);
  EXPECT_EQ(container_of("/docker/" + kId + "/docker/" + kOtherId), kId);
}

TEST(CgroupPlace, NobodyMakesAContainersNameBelowTheirOwnCgroup) {
  const std::string scope = "docker-" + kId + ".scope";
  for (const std::string& path :
       {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope",
        "/system.slice/web.service/" + kId, "/system.slice/web.service/docker/" + kId,
        "/system.slice/web.service/" + scope, "/somebody/" + kId, "/somebody/docker/" + kId, "/" + kId,
        "/machine.slice/libpod-conmon-" + kId + ".scope", "/system.slice/docker-" + kId.substr(1) + ".scope",
        "/system.slice/docker-" + kId + ".service", "/system.slice/docker-" + kId + "0.scope"}) {
    EXPECT_EQ(container_of(path), "") << path;
  }
}

TEST(CgroupPlace, PathsAreComparedByComponents) {
  EXPECT_TRUE(is_at_or_below("/a/b", "/a/b"));
  EXPECT_TRUE(is_at_or_below("/a/b/c", "/a/b"));
  EXPECT_TRUE(is_at_or_below("/a", "/"));
  EXPECT_FALSE(is_at_or_below("/a/bc", "/a/b"));
  EXPECT_FALSE(is_at_or_below("/a", "/a/b"));
  EXPECT_FALSE(is_at_or_below("", "/a"));
}

}  // namespace
}  // namespace msp::identity
