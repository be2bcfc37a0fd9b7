// SPDX-License-Identifier: Apache-2.0
// The channel against a fake host over loopback: real sockets, real files, short pauses.
// Tests only; one thread, the fixture's loop. Files lie in a directory of the test.
// A wait that is not fulfilled in time is false; the test says what that means.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "channel/channel.h"
#include "channel/fake_host.h"

namespace msp::channel {

class ChannelTest : public testing::Test {
 protected:
  ChannelTest() {
    std::string name = "/tmp/msp-channel-XXXXXX";
    directory = ::mkdtemp(name.data());
  }
  ~ChannelTest() override {
    channel.reset();
    std::filesystem::remove_all(directory);
  }

  void start(std::uint64_t timeout_ms = 2'000, std::uint64_t interval_ms = 20) {
    channel = std::make_unique<Channel>(
        loop, buffers, clock, [](const Ipv4Endpoint&) { return make_tcp_socket(); },
        Channel::Settings{.host = host.endpoint(),
                          .key_directory = directory + "/keys",
                          .state_directory = directory,
                          .interval_ms = interval_ms,
                          .timeout_ms = timeout_ms},
        [this](std::shared_ptr<const ChannelState> state) { published.push_back(std::move(state)); },
        [this] { ++unchanged; });
    const auto started = channel->start();
    ASSERT_TRUE(started.ok()) << started.error().text();
  }
  void restart() {
    channel.reset();
    published.clear();
    start();
  }
  bool run_until(const std::function<bool()>& done, int ms = 5'000) {
    const auto until = clock.boottime_ms() + static_cast<std::uint64_t>(ms);
    while (!done() && clock.boottime_ms() < until) {
      loop.run_once(10);
    }
    return done();
  }
  bool run_until_phase(Phase phase) {
    return run_until([&] { return channel->state()->phase == phase; });
  }
  void run_polls(std::uint32_t more) {
    const auto target = host.polls + more;
    EXPECT_TRUE(run_until([&] { return host.polls >= target; }));
  }
  const ChannelState& state() const { return *channel->state(); }
  /// `mark`: a file whose place something takes that is no file; it is made once that is gone, and again when it is.
  void expect_written_again(const std::string& mark) {
    for (const bool removed_by_somebody : {false, true}) {
      std::filesystem::remove_all(mark);
      channel->look_at_disk();
      EXPECT_TRUE(std::filesystem::is_regular_file(mark))
          << mark << (removed_by_somebody ? ", removed" : ", not written");
      EXPECT_EQ(state().disk_trouble, "");
    }
  }
  std::vector<std::string> key_files() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(directory + "/keys")) {
      out.push_back(entry.path().filename());
    }
    return out;
  }

  Loop loop;
  http::BufferPool buffers;
  SystemClock clock;
  FakeHost host{loop, buffers};
  std::string directory;
  std::vector<std::shared_ptr<const ChannelState>> published;
  std::uint32_t unchanged = 0;
  std::unique_ptr<Channel> channel;
};

}  // namespace msp::channel
