// SPDX-License-Identifier: Apache-2.0
#include "identity/names.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <condition_variable>
#include <mutex>

#include "identity/source.h"

namespace msp::identity {
namespace {

/// Collects what the resolver publishes.
class Inbox {
 public:
  void put(std::shared_ptr<const NameTable> table) {
    const std::scoped_lock lock(mutex_);
    table_ = std::move(table);
    ++count_;
    changed_.notify_all();
  }
  template <class Predicate>
  bool wait(Predicate good) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return table_ != nullptr && good(*table_); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const NameTable> table_;
  int count_ = 0;
};

TEST(Names, FirstNameOfAnIdWins) {
  NameTable table;
  table.add_user(0, "root");
  table.add_user(0, "toor");
  EXPECT_EQ(table.user(0), "root");
  EXPECT_EQ(table.user(77), "");
  EXPECT_FALSE(table.has_user(77));
}

TEST(Names, ResolverPublishesTheSystemsUsersThenWhatIsAskedFor) {
  Inbox inbox;
  auto resolver = NameResolver::start(60000, [&](auto table) { inbox.put(std::move(table)); });
  ASSERT_TRUE(resolver);
  EXPECT_TRUE(inbox.wait([](const NameTable& t) { return t.user(0) == "root" && t.group(0) == "root"; }));
  resolver.value()->want_user(3999999999);
  resolver.value()->want_group(3999999999);
  EXPECT_TRUE(inbox.wait([](const NameTable& t) {
    return t.has_user(3999999999) && t.user(3999999999).empty() && t.has_group(3999999999);
  }));
}

TEST(Names, AskingNeverBlocks) {
  Inbox inbox;
  auto resolver = NameResolver::start(60000, [&](auto table) { inbox.put(std::move(table)); });
  ASSERT_TRUE(resolver);
  for (std::uint32_t i = 0; i < 100000; ++i) {
    resolver.value()->want_user(3000000000 + i % 8);
  }
}

TEST(Source, SocketWithoutHookHasNoRecord) {
  const Fd socket(::socket(AF_INET, SOCK_STREAM, 0));
  SocketIdentitySource source;
  const auto identity = source.identify(socket.get());
  ASSERT_TRUE(identity);
  EXPECT_FALSE(identity->known);
  EXPECT_EQ(identity->unknown, Unknown::kNoRecord);
}

TEST(Source, BadDescriptorIsAnError) {
  SocketIdentitySource source;
  EXPECT_FALSE(source.identify(-1));
}

}  // namespace
}  // namespace msp::identity
