// SPDX-License-Identifier: Apache-2.0
// The power goes away at each moment of the agent's key store: what it had promised is there, nothing is torn
// (docs/disk-faults.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/file.h"
#include "channel/key_store.h"
#include "channel/status_guard.h"
#include "tests/support/faults/power.h"
#include "tests/support/keys.h"

namespace msp::channel {
namespace {

using faults::Promises;

// Two levels that do not exist: what is synced in a directory is lost with it if nobody synced its own name.
KeyStore store(const std::string& directory) { return {directory + "/var/lib/keys", directory + "/var/lib/state"}; }

void keep(const KeyStore& keys, int number) {
  const auto saved = keys.save(test::key(number));
  ASSERT_TRUE(saved.ok()) << saved.error().text();
  faults::mark("saved " + std::to_string(number));
}

bool promised(const Promises& promises, const std::string& what) {
  return std::ranges::find(promises, what) != promises.end();
}

/// Each key that has a file is whole, each that was saved has one, and life goes on.
void judge(const std::string& directory, const Promises& promises, int keys_saved, int kept_from) {
  const KeyStore keys = store(directory);
  const auto prepared = keys.prepare();
  ASSERT_TRUE(prepared.ok()) << prepared.error().text();
  std::string why;
  const bool ever = keys.ever_latched(why);
  EXPECT_EQ(why, "");
  EXPECT_TRUE(ever || promises.empty()) << "closed at the start from the first saved key on";
  EXPECT_TRUE(keys.is_marked() || !promised(promises, "latched")) << "lost: the mark";
  for (int i = 0; i < keys_saved; ++i) {
    const auto key = keys.load(test::key_guid(i));
    EXPECT_TRUE(key.ok() || key.error().code == ENOENT) << "torn: " << key.error().text();
    EXPECT_TRUE(!key.ok() || key->key_hex == test::key(i).key_hex);
    EXPECT_TRUE(key.ok() || i < kept_from || !promised(promises, "saved " + std::to_string(i))) << "lost: key " << i;
  }
  EXPECT_TRUE(keys.mark_latched().ok());
  EXPECT_TRUE(keys.save(test::key(100)).ok());
  EXPECT_TRUE(keys.load(test::key_guid(100)).ok());
  keys.prune(test::key_guid(100));
  const auto names = file::list(directory + "/var/lib/keys");
  EXPECT_TRUE(std::ranges::none_of(*names, [](const auto& name) { return name.ends_with(".tmp"); }));
}

TEST(KeyStorePower, FirstBoot) {
  const auto tally = faults::run(
      {.name = "first boot",
       .prepare = [](const std::string&) {},
       .act =
           [](const std::string& directory) {
             const KeyStore keys = store(directory);
             ASSERT_TRUE(keys.prepare().ok());
             keep(keys, 0);
             ASSERT_TRUE(keys.mark_latched().ok());
             faults::mark("latched");
             keys.prune(test::key_guid(0));
           },
       .judge = [](const std::string& directory, const Promises& promises) { judge(directory, promises, 1, 0); }});
  EXPECT_GT(tally.states, 50U);
}

TEST(KeyStorePower, ManyKeysAndTheRemovalOfOldOnes) {
  constexpr int kKeys = 12;
  const auto tally =
      faults::run({.name = "many keys",
                   .prepare = [](const std::string& directory) { ASSERT_TRUE(store(directory).prepare().ok()); },
                   .act =
                       [](const std::string& directory) {
                         for (int i = 0; i < kKeys; ++i) {
                           keep(store(directory), i);
                           store(directory).prune(test::key_guid(i));
                         }
                       },
                   .judge = [](const std::string& directory,
                               const Promises& promises) { judge(directory, promises, kKeys, kKeys - 8); }});
  EXPECT_GT(tally.states, 300U);
}

/// As the host signs it.
void hear_the_host(StatusGuard& guard, const Key& key) {
  const auto asked = guard.ask();
  ASSERT_TRUE(asked.has_value());
  const protocol::SignedStatus answer{.nonce = asked->nonce, .status = 200, .body = "{}"};
  auto mac = HmacSha256::create(*protocol::status_secret(key.bytes));
  const std::string header =
      protocol::format_status_signature({.guid = key.guid, .signature = *protocol::sign_status(*mac, answer)});
  EXPECT_FALSE(guard.judge(asked, {.header = &header}, answer).has_value());
}

TEST(KeyStorePower, ThatTheHostSignsItsStatus) {
  const auto bound = [](const std::string& directory) { return StatusGuard(directory, directory + "/machine"); };
  faults::run({.name = "the host signs",
               .prepare = [](const std::string&) {},
               .act =
                   [&](const std::string& directory) {
                     StatusGuard guard = bound(directory);
                     ASSERT_TRUE(guard.prepare().ok());
                     const Key key{
                         .guid = test::key_guid(0), .incarnation = 1, .bytes = Secret::copy_of(std::string(32, 'k'))};
                     guard.use(&key);
                     hear_the_host(guard, key);
                     ASSERT_TRUE(guard.keep().ok());
                     faults::mark("bound");
                   },
               .judge =
                   [&](const std::string& directory, const Promises& promises) {
                     StatusGuard guard = bound(directory);
                     EXPECT_TRUE(guard.prepare().ok()) << "torn";
                     EXPECT_TRUE(guard.demands() || !promised(promises, "bound")) << "lost";
                   }});
}

TEST(KeyStorePower, TheSameKeyOnceMore) {
  faults::run(
      {.name = "the same key once more",
       .prepare =
           [](const std::string& directory) {
             ASSERT_TRUE(store(directory).prepare().ok());
             ASSERT_TRUE(store(directory).save(test::key(0)).ok());
           },
       .act =
           [](const std::string& directory) {
             faults::mark("saved 0");
             keep(store(directory), 0);
           },
       .judge = [](const std::string& directory, const Promises& promises) { judge(directory, promises, 1, 0); }});
}

}  // namespace
}  // namespace msp::channel
