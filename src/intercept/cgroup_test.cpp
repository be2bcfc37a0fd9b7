// SPDX-License-Identifier: Apache-2.0
#include "intercept/cgroup.h"

#include <gtest/gtest.h>

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
