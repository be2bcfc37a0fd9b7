// SPDX-License-Identifier: Apache-2.0
#include "identity/connection_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "bpf/contract.h"
#include "identity/names.h"

namespace msp::identity {
namespace {

msp_record record_with_path(std::string_view components) {
  msp_record record{};
  record.version = MSP_RECORD_VERSION;
  record.uid = 1000;
  record.gid = 100;
  components.copy(record.path, sizeof(record.path));
  record.path_len = static_cast<std::uint16_t>(components.size());
  return record;
}

using namespace std::string_view_literals;

TEST(ConnectionIdentity, AssemblesThePathFromItsComponents) {
  const auto identity = make_identity(record_with_path("curl\0bin\0usr\0"sv), nullptr);
  EXPECT_TRUE(identity.known);
  EXPECT_EQ(identity.exe_path, "/usr/bin/curl");
  EXPECT_EQ(identity.process_name, "curl");
}

TEST(ConnectionIdentity, CutOrDetachedPathIsNotAbsolute) {
  auto record = record_with_path("curl\0bin\0"sv);
  record.flags = MSP_RECORD_PATH_TRUNCATED;
  EXPECT_EQ(make_identity(record, nullptr).exe_path, ".../bin/curl");
  record = record_with_path("memfd:x\0"sv);
  record.flags = MSP_RECORD_DETACHED | MSP_RECORD_EXE_DELETED;
  const auto identity = make_identity(record, nullptr);
  EXPECT_EQ(identity.exe_path, "memfd:x");
  EXPECT_TRUE(identity.executable_deleted);
}

TEST(ConnectionIdentity, LengthsBeyondTheRecordAreNotFollowed) {
  auto record = record_with_path("a\0b"sv);
  record.path_len = 65535;
  record.group_count = 4000000000;
  std::memset(record.comm, 'x', sizeof(record.comm));
  const auto identity = make_identity(record, nullptr);
  EXPECT_LE(identity.groups.size(), MSP_MAX_GROUPS + 1);
  EXPECT_EQ(identity.comm, std::string(16, 'x'));
}

TEST(ConnectionIdentity, GroupsStartWithTheRealOneAndHaveNoDoubles) {
  auto record = record_with_path({});
  record.group_count = 3;
  record.groups[0] = 7;
  record.groups[1] = 100;
  record.groups[2] = 8;
  NameTable names;
  names.add_group(100, "users");
  names.add_group(8, "mail");
  names.add_user(1000, "alice");
  const auto identity = make_identity(record, &names);
  EXPECT_THAT(identity.groups, testing::ElementsAre(100, 7, 8));
  EXPECT_THAT(identity.group_names, testing::ElementsAre("users", "mail"));
  EXPECT_EQ(identity.user_name, "alice");
}

TEST(ConnectionIdentity, OnlyRealUidZeroIsElevated) {
  auto record = record_with_path({});
  record.euid = 0;
  EXPECT_FALSE(make_identity(record, nullptr).elevated);
  record.uid = 0;
  EXPECT_TRUE(make_identity(record, nullptr).elevated);
}

TEST(ConnectionIdentity, KernelThreadIsNobody) {
  auto record = record_with_path({});
  record.uid = 0;
  record.flags = MSP_RECORD_KERNEL | MSP_RECORD_NO_EXE;
  const auto identity = make_identity(record, nullptr);
  EXPECT_FALSE(identity.known);
  EXPECT_FALSE(identity.elevated);
  EXPECT_EQ(identity.unknown, Unknown::kKernelThread);
}

TEST(ConnectionIdentity, ForeignContractIsUnknown) {
  auto record = record_with_path({});
  record.version = MSP_RECORD_VERSION + 1;
  const auto identity = make_identity(record, nullptr);
  EXPECT_FALSE(identity.known);
  EXPECT_EQ(identity.unknown, Unknown::kContract);
}

TEST(ConnectionIdentity, IsSmall) { EXPECT_LE(sizeof(ConnectionIdentity), 320U); }

}  // namespace
}  // namespace msp::identity
