// SPDX-License-Identifier: Apache-2.0
// Every file call of the agent's key store fails once in every way: what is promised then is in docs/disk-faults.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "channel/key_store.h"
#include "tests/support/faults/campaign.h"
#include "tests/support/keys.h"

namespace msp::channel {
namespace {

using faults::Fault;
using testing::HasSubstr;
using testing::Not;

KeyStore store(const std::string& directory) { return {directory + "/keys", directory + "/state"}; }

void expect_ok(const Result<void>& done) { EXPECT_TRUE(done.ok()) << done.error().text(); }

void latched_before(const std::string& directory) {
  const KeyStore keys = store(directory);
  expect_ok(keys.prepare());
  expect_ok(keys.save(test::key(0)));
  expect_ok(keys.mark_latched());
}

/// Names the place and a remedy, and no key.
void expect_clear(const std::string& directory, const Error& error) {
  EXPECT_THAT(error.text(), HasSubstr(directory));
  EXPECT_FALSE(error.hint.empty()) << error.text();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(error.text(), Not(HasSubstr(test::key_hex(i))));
  }
}

void expect_stored(const KeyStore& keys, int number) {
  const auto key = keys.load(test::key_guid(number));
  ASSERT_TRUE(key.ok()) << key.error().text();
  EXPECT_TRUE(key->key_hex == test::key(number).key_hex);
}

/// A fault that a correct program does not notice.
bool harmless(const Fault& fault) { return fault.effect == faults::kShort; }

TEST(KeyStoreFaults, Save) {
  const auto tally =
      faults::run({.name = "saving a key",
                   .prepare = latched_before,
                   .act = [](const std::string& directory) { return store(directory).save(test::key(1)); },
                   .judge =
                       [](const std::string& directory, const Fault& fault, const Result<void>& saved) {
                         const KeyStore keys = store(directory);
                         EXPECT_TRUE(saved.ok() || !harmless(fault)) << saved.error().text();
                         if (!saved.ok()) {
                           expect_clear(directory, saved.error());
                         }
                         expect_stored(keys, 0);
                         const auto fresh = keys.load(test::key_guid(1));
                         if (saved.ok() || fresh.ok() || fresh.error().code != ENOENT) {
                           expect_stored(keys, 1);
                         }
                         expect_ok(keys.save(test::key(1)));
                         expect_stored(keys, 1);
                         keys.prune(test::key_guid(1));
                         EXPECT_EQ(file::list(directory + "/keys")->size(), 2U) << "no temporary file stays";
                       }});
  EXPECT_GT(tally.refused, 100U);
}

TEST(KeyStoreFaults, SavingTheNextKeyAfterwardsLeavesNothingOfTheOneThatFailed) {
  faults::run({.name = "saving a key, another one after it",
               .prepare = latched_before,
               .act = [](const std::string& directory) { return store(directory).save(test::key(1)); },
               .judge =
                   [](const std::string& directory, const Fault&, const Result<void>&) {
                     const KeyStore keys = store(directory);
                     expect_ok(keys.save(test::key(2)));
                     keys.prune(test::key_guid(2));
                     const auto names = file::list(directory + "/keys");
                     EXPECT_TRUE(std::ranges::none_of(*names, [](const auto& name) { return name.ends_with(".tmp"); }));
                     expect_stored(keys, 0);
                     expect_stored(keys, 2);
                   }});
}

TEST(KeyStoreFaults, Load) {
  const auto tally = faults::run({.name = "loading a key",
                                  .prepare = latched_before,
                                  .act = [](const std::string& directory) -> Result<void> {
                                    auto key = store(directory).load(test::key_guid(0));
                                    if (!key.ok()) {
                                      return std::move(key).error();
                                    }
                                    EXPECT_TRUE(key->key_hex == test::key(0).key_hex) << "whole or not at all";
                                    return {};
                                  },
                                  .judge =
                                      [](const std::string& directory, const Fault& fault, const Result<void>& loaded) {
                                        EXPECT_TRUE(loaded.ok() || !harmless(fault)) << loaded.error().text();
                                        if (!loaded.ok()) {
                                          EXPECT_NE(loaded.error().code, ENOENT) << "not taken for one that is lost";
                                          expect_clear(directory, loaded.error());
                                        }
                                        expect_stored(store(directory), 0);
                                      }});
  EXPECT_GT(tally.refused, 20U);
}

TEST(KeyStoreFaults, Prepare) {
  const auto prepare = [](const std::string& directory) { return store(directory).prepare(); };
  const auto judge = [](const std::string& directory, const Fault& fault, const Result<void>& prepared) {
    EXPECT_TRUE(prepared.ok() || !harmless(fault)) << prepared.error().text();
    if (!prepared.ok()) {
      expect_clear(directory, prepared.error());
    }
    expect_ok(store(directory).prepare());
    expect_ok(store(directory).save(test::key(1)));
    expect_stored(store(directory), 1);
  };
  faults::run({.name = "making the directories", .prepare = [](const std::string&) {}, .act = prepare, .judge = judge});
  faults::run({.name = "checking the directories", .prepare = latched_before, .act = prepare, .judge = judge});
}

TEST(KeyStoreFaults, MarkLatched) {
  faults::run({.name = "noting that it was latched",
               .prepare = [](const std::string& directory) { expect_ok(store(directory).prepare()); },
               .act = [](const std::string& directory) { return store(directory).mark_latched(); },
               .judge =
                   [](const std::string& directory, const Fault& fault, const Result<void>& marked) {
                     EXPECT_TRUE(marked.ok() || !harmless(fault)) << marked.error().text();
                     if (!marked.ok()) {
                       expect_clear(directory, marked.error());
                     }
                     expect_ok(store(directory).mark_latched());
                     EXPECT_EQ(*file::list(directory + "/state"), std::vector<std::string>{"ever-latched"});
                   }});
}

/// Whatever the disk says, a machine that was latched is not taken for one that never was.
TEST(KeyStoreFaults, EverLatched) {
  const auto ask = [](const std::string& directory) -> Result<void> {
    std::string why;
    const bool ever = store(directory).ever_latched(why);
    EXPECT_TRUE(ever || why.empty());
    return why.empty() ? Result<void>() : Error{.message = why, .hint = why};
  };
  const auto still = [](bool expected) {
    return [expected](const std::string& directory, const Fault&, const Result<void>& asked) {
      if (!asked.ok()) {
        expect_clear(directory, asked.error());
      }
      std::string why;
      EXPECT_EQ(store(directory).ever_latched(why), expected);
      EXPECT_EQ(why, "");
    };
  };
  const auto latched_and_told = [](const std::string& directory) -> Result<void> {
    std::string why;
    EXPECT_TRUE(store(directory).ever_latched(why));
    return {};
  };
  faults::run(
      {.name = "looking for the mark", .prepare = latched_before, .act = latched_and_told, .judge = still(true)});
  faults::run({.name = "looking for the mark or a key",
               .prepare =
                   [](const std::string& directory) {
                     latched_before(directory);
                     expect_ok(file::remove(directory + "/state/ever-latched"));
                   },
               .act = latched_and_told,
               .judge = still(true)});
  faults::run({.name = "looking for the mark on a machine that has none",
               .prepare = [](const std::string& directory) { expect_ok(store(directory).prepare()); },
               .act = [&](const std::string& directory) { return ask(directory); },
               .judge = still(false)});
}

TEST(KeyStoreFaults, Prune) {
  constexpr int kMany = 11;
  faults::run({.name = "removing old keys",
               .prepare =
                   [](const std::string& directory) {
                     latched_before(directory);
                     for (int i = 1; i < kMany; ++i) {
                       expect_ok(store(directory).save(test::key(i)));
                     }
                     expect_ok(file::replace(directory + "/keys/." + test::key_guid(1) + ".key.tmp", "{"));
                   },
               .act = [](const std::string& directory) -> Result<void> {
                 store(directory).prune(test::key_guid(0));
                 return {};
               },
               .judge =
                   [](const std::string& directory, const Fault&, const Result<void>&) {
                     const KeyStore keys = store(directory);
                     expect_stored(keys, 0);
                     for (int i = kMany - 8; i < kMany; ++i) {
                       expect_stored(keys, i);
                     }
                     keys.prune(test::key_guid(0));
                     EXPECT_EQ(file::list(directory + "/keys")->size(), 9U);
                   }});
}

}  // namespace
}  // namespace msp::channel
