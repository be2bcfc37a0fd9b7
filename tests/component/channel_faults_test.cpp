// SPDX-License-Identifier: Apache-2.0
// The agent's whole channel on a disk that fails at each call of a first boot, a reboot and a change of the key: never
// open where it must be closed, and latched as soon as the fault has gone (docs/disk-faults.md).
#include <gmock/gmock.h>

#include <set>

#include "channel/channel_fixture.h"
#include "tests/support/faults/campaign.h"

namespace msp::channel {
namespace {

using faults::Fault;

class ChannelFaults : public ChannelTest {
 protected:
  // The channel's directories lie in the watched one, away from the fixture's own.
  Result<void> boot(const std::string& top) {
    published.clear();
    channel = std::make_unique<Channel>(
        loop, buffers, clock, [](const Ipv4Endpoint&) { return make_tcp_socket(); },
        Channel::Settings{.host = host.endpoint(),
                          .key_directory = top + "/keys",
                          .state_directory = top + "/state",
                          .interval_ms = 10,
                          .timeout_ms = 2'000},
        [this](std::shared_ptr<const ChannelState> state) { published.push_back(std::move(state)); }, [] {});
    return channel->start();
  }
  bool latched() const { return channel->state()->phase == Phase::kLatched; }
  /// Until it is latched, or has met the fault and polls on without; where the mark status-signed cannot be read it
  /// does not even ask.
  void settle() {
    const auto until = host.polls + 3;
    const auto cannot_check = [&] { return channel->state()->message.find("cannot be checked") != std::string::npos; };
    EXPECT_TRUE(run_until([&] { return latched() || host.polls >= until || cannot_check(); }))
        << channel->state()->message;
  }
  void end() {
    channel.reset();
    loop.run_once(0);
  }
  /// What had to hold at every moment: once the host has said that it is wanted, it is signed or closed.
  void expect_never_open(bool latched_before) {
    bool wanted = latched_before;
    for (const auto& state : published) {
      wanted = wanted || state->document != nullptr;
      EXPECT_TRUE(!wanted || state->closed || state->key != nullptr) << state->message;
    }
  }
  static std::vector<Fault> chosen() {
    std::vector<Fault> some;
    const std::set<std::string> names{"EIO", "ENOSPC from there on", "EROFS from there on", "EACCES from there on"};
    for (Fault& fault : faults::every_fault()) {
      if (names.contains(fault.name)) {
        some.push_back(std::move(fault));
      }
    }
    return some;
  }
  void first_boot(const std::string& top) {
    host.latched.clear();
    host.enforce();
    ASSERT_TRUE(boot(top).ok());
    ASSERT_TRUE(run_until([&] { return latched(); }));
    end();
  }
  /// Agent and host as at first, whatever the run before has left.
  void forget() {
    end();
    host.latched.clear();
    host.refuse_keys = 0;
  }
  void recovers(const std::string& top, bool same_key, const std::string& key_before) {
    if (channel == nullptr) {
      ASSERT_TRUE(boot(top).ok());
    }
    ASSERT_TRUE(run_until([&] { return latched() && channel->state()->key != nullptr; })) << channel->state()->message;
    EXPECT_TRUE(!same_key || channel->state()->key->guid == key_before);
    channel->look_at_disk();
    EXPECT_TRUE(std::filesystem::exists(top + "/state/ever-latched"))
        << "what the disk could not say at first is known by now";
    end();
    ASSERT_TRUE(boot(top).ok()) << "and after another reboot";
    EXPECT_TRUE(channel->state()->ever_latched);
    EXPECT_TRUE(run_until([&] { return latched(); })) << channel->state()->message;
  }
};

TEST_F(ChannelFaults, FirstBoot) {
  const auto tally = faults::run(
      {.name = "first boot",
       .prepare =
           [&](const std::string&) {
             forget();
             host.enforce();
           },
       .act = [&](const std::string& top) -> Result<void> {
         auto started = boot(top);
         if (!started.ok()) {
           end();  // the service ends with this error and is started again
           return started;
         }
         settle();
         expect_never_open(false);
         return {};
       },
       .judge = [&](const std::string& top, const Fault&, const Result<void>&) { recovers(top, false, {}); }},
      chosen());
  EXPECT_GT(tally.refused, 10U);
}

TEST_F(ChannelFaults, Reboot) {
  std::string key_before;
  faults::run(
      {.name = "reboot",
       .prepare =
           [&](const std::string& top) {
             forget();
             first_boot(top);
             key_before = host.latched;
             host.refuse_keys = 1 << 20;  // it hands out no second one
           },
       .act = [&](const std::string& top) -> Result<void> {
         auto started = boot(top);
         if (!started.ok()) {
           end();
           return started;
         }
         EXPECT_TRUE(channel->state()->ever_latched) << "whatever the disk says";
         settle();
         expect_never_open(true);
         return {};
       },
       .judge = [&](const std::string& top, const Fault&, const Result<void>&) { recovers(top, true, key_before); }},
      chosen());
}

TEST_F(ChannelFaults, ChangeOfTheKey) {
  faults::run({.name = "change of the key",
               .prepare =
                   [&](const std::string& top) {
                     forget();
                     first_boot(top);
                     ASSERT_TRUE(boot(top).ok());
                     ASSERT_TRUE(run_until([&] { return latched(); }));
                     published.clear();
                   },
               .act = [&](const std::string&) -> Result<void> {
                 const std::string old = host.latched;
                 host.reset();
                 const auto until = host.polls + 3;
                 run_until([&] { return !host.latched.empty() || host.polls >= until; });
                 run_until([&] { return (latched() && channel->state()->key->guid != old) || host.polls >= until; });
                 for (const auto& state : published) {
                   EXPECT_NE(state->key, nullptr) << "signed all the time: " << state->message;
                 }
                 return {};
               },
               .judge = [&](const std::string& top, const Fault&, const Result<void>&) { recovers(top, false, {}); }},
              chosen());
}

/// A machine that was never latched, on a disk that could not say so: closed until the next start, not for good.
TEST_F(ChannelFaults, AGuessIsNotNoted) {
  const faults::Scratch scratch;
  ASSERT_TRUE(KeyStore(scratch.path() + "/keys", scratch.path() + "/state").prepare().ok());
  host.canned_status = 503;
  faults::watch(scratch.path());
  faults::plan() = {.effect = faults::kFail, .error = EIO, .calls = faults::kList, .from_there_on = 1};
  ASSERT_TRUE(boot(scratch.path()).ok());
  EXPECT_GT(faults::plan().hit, 0U);
  faults::plan().effect = faults::kNone;
  run_polls(2);
  EXPECT_TRUE(channel->state()->closed) << "who cannot tell is closed";
  end();
  faults::watch({});
  ASSERT_TRUE(boot(scratch.path()).ok());
  EXPECT_FALSE(channel->state()->ever_latched);
  EXPECT_FALSE(channel->state()->closed) << "the disk is well again";
}

}  // namespace
}  // namespace msp::channel
