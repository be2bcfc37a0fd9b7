// SPDX-License-Identifier: Apache-2.0
#include "intercept/cgroup.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace msp::intercept {
namespace {

TEST(Cgroup, FindsTheFirstUnifiedMount) {
  const auto root = cgroup2_root_in(
      "22 27 0:20 / /sys rw shared:7 - sysfs sysfs rw\n"
      "30 22 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
      "31 22 0:27 / /sys/fs/cgroup/uni\\040fied rw shared:10 master:3 - cgroup2 cgroup2 rw\n"
      "32 22 0:27 / /elsewhere rw - cgroup2 cgroup2 rw\n");
  ASSERT_TRUE(root);
  EXPECT_EQ(*root, "/sys/fs/cgroup/uni fied");
}

TEST(Cgroup, NoUnifiedMountSaysWhatToDo) {
  const auto root = cgroup2_root_in("22 27 0:20 / /sys rw - sysfs sysfs rw\n");
  ASSERT_FALSE(root);
  EXPECT_NE(root.error().text().find("mount -t cgroup2"), std::string::npos);
  EXPECT_FALSE(cgroup2_root_in(""));
}

TEST(Cgroup, OwnPathIsThatOfTheUnifiedHierarchy) {
  const auto path = cgroup2_path_in("9:name=systemd:/a\n0::/system.slice/x.service\n");
  ASSERT_TRUE(path);
  EXPECT_EQ(*path, "/system.slice/x.service");
  EXPECT_FALSE(cgroup2_path_in("9:name=systemd:/a\n"));
}

TEST(Cgroup, WhatIsNoneOfTheUnifiedHierarchyIsRefusedByName) {
  const Result<std::string> root = std::string("/sys/fs/cgroup/unified");
  const Result<std::string> none = config_error("none");
  EXPECT_TRUE(must_be_unified("/c", 0x63677270, root));
  const auto first = must_be_unified("/sys/fs/cgroup/memory", 0x27e0eb, root);
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().message, "/sys/fs/cgroup/memory is a cgroup of version 1, to which no hook can be attached");
  EXPECT_NE(first.error().hint.find("mounted at /sys/fs/cgroup/unified"), std::string::npos);
  const auto other = must_be_unified("/tmp", 0xef53, none);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message, "/tmp is no cgroup");
  EXPECT_NE(other.error().hint.find("systemd.unified_cgroup_hierarchy=1"), std::string::npos);
  EXPECT_EQ(open_cgroup("/nonexistent").error().code, ENOENT);
  EXPECT_FALSE(open_cgroup("/proc/self"));
}

TEST(Cgroup, OnlyTheSliceOfOursOutlivesItsService) {
  EXPECT_EQ(lasting_cgroup("/sys/fs/cgroup/openmsp.slice/msp-agent.service"), "/sys/fs/cgroup/openmsp.slice");
  for (const char* own :
       {"/sys/fs/cgroup/system.slice/msp-agent.service", "/sys/fs/cgroup/openmsp.slice",
        "/sys/fs/cgroup/notopenmsp.slice/x.service", "/sys/fs/cgroup/openmsp.slice/a/b", "/sys/fs/cgroup", ""}) {
    EXPECT_EQ(lasting_cgroup(own), own);
  }
}

}  // namespace
}  // namespace msp::intercept
