// SPDX-License-Identifier: Apache-2.0
#include "base/secret.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <type_traits>

#include "base/process.h"

namespace msp {
namespace {

template <class T>
concept Streamable = requires(std::ostream& out, const T& t) { out << t; };

static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret> && std::is_nothrow_move_assignable_v<Secret>);
static_assert(!Streamable<Secret>);
static_assert(!fmt::is_formattable<Secret>::value);

TEST(Secret, HexBothWays) {
  const auto secret = Secret::from_hex("00aBfF");
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->size(), 3U);
  EXPECT_EQ(secret->bytes()[1], 0xAB);
  EXPECT_EQ(secret->to_hex().reveal(), "00abff");
  EXPECT_TRUE(Secret().to_hex().empty());
}

TEST(Secret, ErrorsNeverQuoteTheText) {
  for (const std::string text : {"", "5ec2e", "5ec2e75ec2eg", "5ec2e7 5ec2e"}) {
    const auto refused = Secret::from_hex(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().text().find("5ec2e"), std::string::npos);
  }
}

TEST(Secret, MoveLeavesNothing) {
  Secret a = Secret::copy_of("key");
  Secret b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): what a move leaves is the point
  EXPECT_EQ(b.reveal(), "key");
  Secret c = Secret::copy_of("other");
  c = std::move(b);
  EXPECT_EQ(c.reveal(), "key");
  c.wipe();
  EXPECT_TRUE(c.empty());
}

TEST(Secret, Equality) {
  EXPECT_EQ(Secret::copy_of("key"), Secret::copy_of("key"));
  EXPECT_NE(Secret::copy_of("key"), Secret::copy_of("kez"));
  EXPECT_NE(Secret::copy_of("key"), Secret::copy_of("keyy"));
  EXPECT_EQ(Secret(), Secret());
  EXPECT_EQ(Secret::copy_of("key").clone().reveal(), "key");
}

TEST(Secret, TruncateKeepsTheFront) {
  Secret a = Secret::copy_of("key and more");
  a.truncate(3);
  EXPECT_EQ(a.reveal(), "key");
  a.truncate(7);
  EXPECT_EQ(a.size(), 3U);
}

TEST(Secret, PagesStayOutOfCoreFiles) {
  const Secret secret(100);
  std::ostringstream address;
  address << std::hex << reinterpret_cast<std::uintptr_t>(secret.bytes().data()) << '-';
  std::ifstream maps("/proc/self/smaps");
  bool found = false;
  for (std::string line; std::getline(maps, line);) {
    found = found || line.starts_with(address.str());
    if (found && line.starts_with("VmFlags:")) {
      EXPECT_NE(line.find(" dd"), std::string::npos) << line;
      break;
    }
  }
  EXPECT_TRUE(found);
}

TEST(Secret, WipeText) {
  std::string text = "0123456789abcdef0123456789abcdef";
  const char* held = text.data();
  wipe(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(std::string_view(held, 32).find_first_not_of('\0'), std::string_view::npos);
}

TEST(Process, Harden) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rlimit core{};
    const bool good = harden_process().ok() && ::prctl(PR_GET_DUMPABLE) == 0 && ::getrlimit(RLIMIT_CORE, &core) == 0 &&
                      core.rlim_cur == 0 && core.rlim_max == 0;
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace msp
