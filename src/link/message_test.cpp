// SPDX-License-Identifier: Apache-2.0
#include "link/message.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/version.h"
#include "link/build.h"

namespace msp::link {
namespace {

std::vector<ToWorker> to_worker() {
  std::vector<ToWorker> out;
  out.emplace_back(Greeting{.build = "0.1.0+0123"});
  Setup setup{.uid = 61100,
              .gid = 61101,
              .log_level = log::Level::kDebug,
              .audit_ring_bytes = 1 << 19,
              .tickets_from = 7,
              .proxy = {}};
  setup.proxy.services[0] = {kImdsEndpoint, {"metadata.test", ""}};
  setup.proxy.listener = {{127, 0, 0, 1}, 3080};
  setup.proxy.max_exempt_body_bytes = 12345;
  out.emplace_back(std::move(setup));
  out.emplace_back(Listen{.listener = 3});
  out.emplace_back(Adopt{});
  out.emplace_back(
      Names{.users = {{.id = 0, .name = "root"}, {.id = 5, .name = ""}}, .groups = {{.id = 9, .name = "g"}}});
  out.emplace_back(Pins{.idle = false, .ticket = 8, .pins = {{.path = "/bin/a", .inode = ~0ULL, .since_ns = 1}}});
  out.emplace_back(
      Places{.idle = false, .ticket = 4, .entries = {{.cgroup = 1, .found = Places::Found::kPlace, .path = "/s/x"}}});
  Rules rules{.matching = policy::Matching::kShadow, .generation = 2, .sets = {}};
  rules.sets[1] = {.kind = Rules::Kind::kDenyAll, .id = "id", .text = "why"};
  out.emplace_back(std::move(rules));
  out.emplace_back(
      Gate{.readiness = proxy::Readiness::kSign,
           .rules = 2,
           .key = Gate::Key{.guid = "guid", .bytes = Secret::copy_of(std::string_view("0123456789abcdef"))},
           .host_time_offset_ms = -5,
           .asks = {.epoch = 0xE, .caller = true}});
  out.emplace_back(Status{.provision = {.finished_tick_ns = 5, .channel_wanted = true, .error_message = "e"},
                          .aggregate_json = "{}"});
  out.emplace_back(Dialled{.dial = 1, .code = 111});
  out.emplace_back(LogLevel{.level = log::Level::kDebug});
  out.emplace_back(Ping{});
  out.emplace_back(Drain{});
  out.emplace_back(Abort{});
  return out;
}

std::vector<ToMonitor> to_monitor() {
  return {Greeting{.build = "0.1.0+0123"},
          Hello{},
          Taken{.number = 5},
          Dial{.dial = 6, .service = Service::kHostGaPlugin},
          WantName{.id = 7, .group = true},
          WantExecutables{.ticket = 8},
          WantPlace{.cgroup = 9, .ticket = 10},
          Notify{},
          ListenerLost{.listener = 11},
          Pong{},
          Drained{},
          Line{.level = log::Level::kHint, .text = "t", .fields = {{.name = "ERRNO", .value = "2"}}}};
}

/// Every kind comes back as it went; no prefix and no longer form of it does, nor does it from the other side.
template <class Decode>
void check(const std::string& bytes, std::size_t kind, Decode decode) {
  auto back = decode(bytes);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->message.index(), kind);
  EXPECT_EQ(back->number, 42U);
  EXPECT_EQ(encode(back->message, 42), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode(bytes.substr(0, size))) << "kind " << kind << ", " << size << " bytes";
  }
  EXPECT_FALSE(decode(bytes + '\0')) << "kind " << kind;
}

TEST(LinkMessage, EachKindComesBackAsItWent) {
  const auto ours = to_worker();
  ASSERT_EQ(ours.size(), std::variant_size_v<ToWorker>);
  for (const ToWorker& message : ours) {
    check(encode(message, 42), message.index(), decode_to_worker);
  }
  const auto theirs = to_monitor();
  ASSERT_EQ(theirs.size(), std::variant_size_v<ToMonitor>);
  for (const ToMonitor& message : theirs) {
    check(encode(message, 42), message.index(), decode_to_monitor);
  }
}

/// By it alone two builds know each other, whatever else either has changed.
TEST(LinkMessage, TheGreetingIsAlikeInEveryBuild) {
  using std::string_literals::operator""s;
  const std::string greeting = "MSLK\x02\0\0\0\x01\0\0\0\0\0\0\0\x05\0\0\0build"s;
  EXPECT_EQ(encode(ToWorker(Greeting{.build = "build"}), 1), greeting);
  EXPECT_EQ(encode(ToMonitor(Greeting{.build = "build"}), 1), greeting);
}

TEST(LinkBuild, IsNamedByVersionAndSources) {
  EXPECT_TRUE(build().starts_with(std::string(version()) + "+")) << build();
  EXPECT_EQ(build().size(), version().size() + 1 + 16) << build();
}

TEST(LinkMessage, AnotherVersionAndOtherNumbersAreRefused) {
  std::string bytes = encode(ToMonitor(Dial{.dial = 1, .service = Service::kImds}), 1);
  ASSERT_TRUE(decode_to_monitor(bytes));
  std::string other = bytes;
  other[4] = static_cast<char>(other[4] + 1);
  EXPECT_NE(decode_to_monitor(other).error().text().find("two versions"), std::string::npos);
  other = bytes;
  other[0] ^= 1;
  EXPECT_FALSE(decode_to_monitor(other)) << "magic";
  other = bytes;
  other[6] = 99;
  EXPECT_FALSE(decode_to_monitor(other)) << "kind";
  other = bytes;
  other.back() = 3;
  EXPECT_FALSE(decode_to_monitor(other)) << "a service that is none";
  // A count that promises more than there is costs no memory.
  std::string names = encode(ToWorker(Names{}), 1);
  names[16] = names[17] = names[18] = names[19] = '\xff';
  EXPECT_FALSE(decode_to_worker(names));
}

// Corpus of fuzz/link_message: MSP_WRITE_CORPUS=fuzz/corpus/link_message build/…/link_test.
TEST(LinkMessage, WritesTheCorpusWhereAsked) {
  const char* folder = std::getenv("MSP_WRITE_CORPUS");
  if (folder == nullptr) {
    return;
  }
  for (const ToWorker& message : to_worker()) {
    std::ofstream(std::string(folder) + "/to_worker_" + std::to_string(message.index())) << encode(message, 42);
  }
  for (const ToMonitor& message : to_monitor()) {
    std::ofstream(std::string(folder) + "/to_monitor_" + std::to_string(message.index())) << encode(message, 42);
  }
}

}  // namespace
}  // namespace msp::link
