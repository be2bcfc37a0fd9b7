// SPDX-License-Identifier: Apache-2.0
// The driver against a fake host over loopback: real sockets, real files, short pauses.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "channel/channel_fixture.h"

namespace msp::channel {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(ChannelTest, FirstBootLatchesAndKeepsTheKey) {
  host.enforce();
  start();
  EXPECT_FALSE(state().closed) << "never latched: nothing is touched before the host speaks";
  EXPECT_FALSE(state().redirect(Service::kImds));
  EXPECT_EQ(state().state, "Unknown");
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_FALSE(state().closed);
  EXPECT_TRUE(state().redirect(Service::kImds));
  EXPECT_TRUE(state().redirect(Service::kWireServer));
  ASSERT_NE(state().key, nullptr);
  EXPECT_EQ(state().key->guid, host.latched);
  EXPECT_EQ(state().key->bytes.size(), 32U);
  EXPECT_EQ(state().services[0].mode, "enforce");
  EXPECT_EQ(host.keys_issued, 1U);
  EXPECT_EQ(host.bad_signatures, 0U);
  // While no key was there, the state said so.
  EXPECT_TRUE(std::ranges::any_of(published, [](const auto& s) { return s->closed && s->redirect(Service::kImds); }));

  struct stat info{};
  ASSERT_EQ(::stat((directory + "/keys/" + host.latched + ".key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  ASSERT_EQ(::stat((directory + "/keys").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
  EXPECT_EQ(::access((directory + "/ever-latched").c_str(), F_OK), 0);
  run_polls(3);
  EXPECT_EQ(host.keys_issued, 1U);
}

TEST_F(ChannelTest, SaysThatAPollChangedNothing) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  run_polls(2);
  const auto states = published.size();
  const auto before = unchanged;
  run_polls(4);
  EXPECT_GE(unchanged, before + 3) << "for what is looked at as often as the host is asked";
  EXPECT_EQ(published.size(), states);
}

TEST_F(ChannelTest, RestartAdoptsTheStoredKeyAndIsClosedUntilThen) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const std::string guid = host.latched;
  restart();
  EXPECT_TRUE(published.front()->closed);
  EXPECT_TRUE(published.front()->redirect(Service::kHostGaPlugin));
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  EXPECT_EQ(state().key->guid, guid);
  EXPECT_EQ(host.keys_issued, 1U);
  EXPECT_EQ(host.attestations, 1U);
}

// A busy disk may take seconds for it, and a machine whose agent was killed is closed until then.
TEST_F(ChannelTest, RestartDoesNotWaitForTheDiskToBeToldAgainThatItWasLatched) {
  const auto mark = [this] {
    struct stat info{};
    EXPECT_EQ(::stat((directory + "/ever-latched").c_str(), &info), 0);
    return info.st_ino;
  };
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const auto before = mark();
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  EXPECT_EQ(mark(), before);
  channel->look_at_disk();
  EXPECT_NE(mark(), before) << "what a crash may have left unsynced is written again";
  const auto after = mark();
  run_polls(3);
  channel->look_at_disk();
  EXPECT_EQ(mark(), after) << "once";
}

TEST_F(ChannelTest, KeyFileOfTheFieldIsAdopted) {
  std::filesystem::create_directory(directory + "/keys");
  std::filesystem::permissions(directory + "/keys", std::filesystem::perms::owner_all);
  const std::string guid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
  const std::string path = directory + "/keys/" + guid + ".key";
  std::ofstream(path) << R"({
  "authorizationScheme": "Azure-HMAC-SHA256",
  "guid": ")" << guid << R"(",
  "issued": "2025-04-23T12:00: 00Z",
  "key": "4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"
})";
  std::filesystem::permissions(path, std::filesystem::perms(0600));
  host.enforce();
  host.latched = guid;
  start();
  EXPECT_TRUE(state().closed) << "a key file is proof of an earlier latch";
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_EQ(state().key->guid, guid);
  EXPECT_EQ(state().key->incarnation, std::nullopt);
  EXPECT_EQ(host.keys_issued, 0U);
}

TEST_F(ChannelTest, LostKeyStaysClosedWhileTheHostRefusesAndHealsAfterItsReset) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  channel.reset();
  std::filesystem::remove(directory + "/keys/" + host.latched + ".key");
  host.refuse_keys = 403;
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kRefused));
  EXPECT_TRUE(state().closed);
  EXPECT_EQ(state().key, nullptr);
  EXPECT_THAT(state().message, AllOf(HasSubstr("403"), HasSubstr("was it re-imaged?")));
  EXPECT_EQ(state().host_code, "");
  run_polls(3);
  EXPECT_TRUE(state().closed);
  host.reset();
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_FALSE(state().closed);
  EXPECT_EQ(state().key->incarnation, 2U);
}

TEST_F(ChannelTest, TheHostsOwnWordForARefusalIsKnownUntilItIsOver) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  channel.reset();
  host.reset();
  host.latched = "11111111-2222-4333-8444-555555555555";  // of another disk
  host.refuse_keys = 403;
  host.refusal_body = R"({"error":"key_latched","error_description":"no","request_id":"1"})";
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kRefused));
  run_polls(3);
  EXPECT_EQ(state().host_code, "key_latched") << "also while it is not asked again";
  EXPECT_THAT(state().message,
              AllOf(HasSubstr("403 (key_latched)"), HasSubstr("of incarnation 1 (was the disk restored")));
  host.reset();
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_EQ(state().host_code, "");
  for (const char* no_word : {R"({"error":"Key latched"})", R"({"error":7})", R"(["error"])", "{", ""}) {
    host.canned_status = 403;
    host.canned_body = no_word;
    run_polls(2);
    EXPECT_THAT(state().message, HasSubstr("403")) << no_word;
    EXPECT_EQ(state().host_code, "") << no_word;
  }
  host.canned_body = R"({"error":"unknown_caller"})";
  EXPECT_TRUE(run_until([&] { return state().host_code == "unknown_caller"; })) << state().message;
}

TEST_F(ChannelTest, OpenKeyFileIsNotBelieved) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  channel.reset();
  host.refuse_keys = 403;
  const std::string path = directory + "/keys/" + host.latched + ".key";
  for (const int mode : {0640, 0604, 0660}) {
    std::filesystem::permissions(path, std::filesystem::perms(mode));
    restart();
    ASSERT_TRUE(run_until_phase(Phase::kRefused)) << std::oct << mode;
    EXPECT_TRUE(state().closed);
    channel.reset();
  }
  std::filesystem::permissions(path, std::filesystem::perms(0600));
  std::filesystem::rename(path, directory + "/elsewhere");
  std::filesystem::create_symlink(directory + "/elsewhere", path);
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kRefused)) << "a symbolic link";
  channel.reset();
  std::filesystem::remove(path);
  std::filesystem::create_hard_link(directory + "/elsewhere", path);
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kRefused)) << "a second name";
  channel.reset();
  std::filesystem::remove(directory + "/elsewhere");
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << "the same file with the one thing mended";
}

TEST_F(ChannelTest, SilentHostAfterALatchKeepsStateKeyAndRules) {
  host.enforce();
  start(50);
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  run_polls(2);
  const auto before = channel->state();
  host.silent = true;
  ASSERT_TRUE(run_until([&] { return !state().host_answers; }));
  EXPECT_EQ(state().phase, Phase::kLatched);
  EXPECT_EQ(state().key, before->key);
  EXPECT_EQ(state().document, before->document);
  EXPECT_FALSE(state().closed);
  EXPECT_THAT(state().message, HasSubstr("cannot poll the host"));
  host.silent = false;
  ASSERT_TRUE(run_until([&] { return state().host_answers; }));
  EXPECT_THAT(state().message, Not(HasSubstr("cannot")));
}

TEST_F(ChannelTest, BadAnswersChangeNothing) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  run_polls(2);
  const auto before = channel->state();
  for (
      const auto& [status, body] : std::vector<std::pair<int, std::string>>{
          {500, "{}"},
          {404, ""},
          {200, "not json"},
          {200, "{}"},
          {200, R"({"version":"2.0"})"},
          {302, ""},
          {200,
           R"({"authorizationScheme":"a","keyDeliveryMethod":"http","version":"3.0","secureChannelEnabled":false})"},
          {200,
           R"({"authorizationScheme":"a","keyDeliveryMethod":"http","version":" 2.0","secureChannelEnabled":true})"}}) {
    host.canned_status = status;
    host.canned_body = body;
    ASSERT_TRUE(run_until([&] { return !state().host_answers; })) << status << body;
    EXPECT_EQ(state().key, before->key);
    EXPECT_EQ(state().document, before->document);
    EXPECT_EQ(state().phase, Phase::kLatched);
    EXPECT_THAT(state().message, Not(HasSubstr("not json"))) << "the host's document is not shown (L.21)";
    EXPECT_EQ(state().host_code, status == 200 ? kStatusNotUnderstood : "");
    EXPECT_EQ(state().host_status, status);
    host.canned_status = 0;
    ASSERT_TRUE(run_until([&] { return state().host_answers; }));
  }
}

TEST_F(ChannelTest, DisabledHostLeavesTrafficAloneAlsoAfterALatch) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  host.disable();
  ASSERT_TRUE(run_until_phase(Phase::kDisabled));
  EXPECT_EQ(state().key, nullptr);
  EXPECT_FALSE(state().closed);
  EXPECT_FALSE(state().redirect(Service::kImds));
  restart();
  EXPECT_TRUE(published.front()->closed) << "the mark outlives a disabled channel";
  ASSERT_TRUE(run_until_phase(Phase::kDisabled));
  EXPECT_FALSE(state().closed);
  host.enforce();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  EXPECT_EQ(host.keys_issued, 1U) << "the stored key is used again";
}

TEST_F(ChannelTest, LostAttestationAnswerHealsWithoutAnotherKey) {
  host.enforce();
  host.drop_attestation_answers = 1;
  start(500);
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_EQ(host.keys_issued, 1U);
}

TEST_F(ChannelTest, RefusedAttestationIsShownAndNothingIsSigned) {
  host.enforce();
  host.refuse_attestations = 401;
  start();
  ASSERT_TRUE(run_until_phase(Phase::kRefused));
  EXPECT_THAT(state().message, HasSubstr("401"));
  EXPECT_EQ(state().key, nullptr);
  EXPECT_TRUE(state().closed);
}

TEST_F(ChannelTest, GuidThatIsNoGuidNeverBecomesAFileName) {
  host.enforce();
  host.guid_to_issue = "../../etc/passwd";
  start();
  ASSERT_TRUE(run_until([&] { return host.keys_issued > 1; }));
  EXPECT_TRUE(state().closed);
  EXPECT_TRUE(key_files().empty());
  EXPECT_EQ(host.attestations, 0U);
}

TEST_F(ChannelTest, HostThatForgetsGetsAnotherKeyAndTheOldOneIsUsedMeanwhile) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const std::string first = state().key->guid;
  published.clear();
  host.reset();
  ASSERT_TRUE(run_until([&] { return state().key->guid != first && state().phase == Phase::kLatched; }));
  for (const auto& s : published) {
    EXPECT_NE(s->key, nullptr);
    EXPECT_FALSE(s->closed);
  }
}

TEST_F(ChannelTest, KeyFilesOfEndedKeysAreBounded) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  for (int i = 0; i < 12; ++i) {
    const std::string before = state().key->guid;
    host.reset();
    ASSERT_TRUE(run_until([&] { return state().key->guid != before; }));
  }
  EXPECT_LE(key_files().size(), 9U);
  EXPECT_THAT(key_files(), testing::Contains(host.latched + ".key"));
}

TEST_F(ChannelTest, HostTimeIsHeardAtEachGoodPoll) {
  host.enforce();
  host.clock_offset_s = 3'600;
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const auto host_now = [&] { return static_cast<std::int64_t>(clock.boottime_ms()) + *state().host_time_offset_ms; };
  const auto expected = [&] { return clock.realtime_ns() / 1'000'000 + host.clock_offset_s * 1000; };
  EXPECT_NEAR(static_cast<double>(host_now()), static_cast<double>(expected()), 2'000);
  host.clock_offset_s = -7'200;
  run_polls(2);
  EXPECT_NEAR(static_cast<double>(host_now()), static_cast<double>(expected()), 2'000);
}

TEST_F(ChannelTest, NotifyPollsAtOnceWhereNothingIsLatched) {
  host.disable();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kDisabled));
  EXPECT_TRUE(channel->notify());
  ASSERT_TRUE(run_until([&] { return published.back()->phase == Phase::kUnknown; }));
  ASSERT_TRUE(run_until_phase(Phase::kDisabled));
  host.enforce();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  EXPECT_FALSE(channel->notify());
}

TEST_F(ChannelTest, KeyFolderThatOthersMayReadIsRefusedAtStart) {
  std::filesystem::create_directory(directory + "/keys");
  std::filesystem::permissions(directory + "/keys", std::filesystem::perms(0755));
  Channel refused(
      loop, buffers, clock, [](const Ipv4Endpoint&) { return make_tcp_socket(); },
      {.host = host.endpoint(), .key_directory = directory + "/keys", .state_directory = directory},
      [](const auto&) {});
  const auto started = refused.start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().text(), HasSubstr(directory + "/keys"));
}

// One rule for the start and for later: who may read the folder may have read the keys.
TEST_F(ChannelTest, KeyFolderThatIsOpenedWhileRunningIsNotUsedAndToldAsAtTheStart) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const std::string keys = directory + "/keys";
  const auto files = key_files();
  for (const unsigned mode : {0755U, 0777U, 01777U}) {
    ASSERT_EQ(::chmod(keys.c_str(), mode), 0);
    channel->look_at_disk();
    EXPECT_THAT(state().disk_trouble, AllOf(HasSubstr(fmt::format("{} has mode {:04o}", keys, mode)),
                                            HasSubstr(fmt::format("chmod 0700 {}", keys))));
    host.reset();
    ASSERT_TRUE(run_until([&] { return state().phase == Phase::kAcquiring && state().message.contains(keys); }))
        << state().message;
    EXPECT_EQ(key_files(), files) << "no key is written there";
    EXPECT_NE(state().key, nullptr) << "what is in use stays";
    ASSERT_EQ(::chmod(keys.c_str(), 0700), 0);
    channel->look_at_disk();
    EXPECT_EQ(state().disk_trouble, "");
  }
}

TEST_F(ChannelTest, AKeyInUseThatARestartWouldNotFindIsTold) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  channel->look_at_disk();
  EXPECT_EQ(state().disk_trouble, "");
  const std::string file = directory + "/keys/" + key_files().front();
  std::filesystem::rename(file, directory + "/away");
  const auto before = published.size();
  channel->look_at_disk();
  channel->look_at_disk();
  EXPECT_EQ(published.size(), before + 1) << "once";
  EXPECT_THAT(state().disk_trouble, HasSubstr("there is no " + file));
  EXPECT_EQ(state().phase, Phase::kLatched);
  std::ofstream(file) << "{";
  channel->look_at_disk();
  EXPECT_THAT(state().disk_trouble, HasSubstr(file));
  std::filesystem::rename(directory + "/away", file);
  channel->look_at_disk();
  EXPECT_EQ(state().disk_trouble, "");
}

TEST_F(ChannelTest, TheMarkIsWrittenAgainWhereItIsGoneOrCouldNotBeWritten) {
  host.enforce();
  const std::string mark = directory + "/ever-latched";
  std::filesystem::create_directory(mark + "x");  // in the way: a file cannot take the place of a folder
  std::filesystem::rename(mark + "x", mark);
  std::ofstream(mark + "/in-it") << "x";
  start();
  testing::internal::CaptureStderr();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  channel->look_at_disk();
  channel->look_at_disk();
  const std::string said = testing::internal::GetCapturedStderr();
  const auto told = said.find("cannot note");
  EXPECT_NE(told, std::string::npos);
  EXPECT_EQ(said.find("cannot note", told + 1), std::string::npos) << "once";
  EXPECT_THAT(state().disk_trouble, HasSubstr("the mark that this machine was latched cannot be written"));
  expect_written_again(mark);
}

TEST_F(ChannelTest, ThatTheHostSignsIsNotedAgainWhereItIsGoneAndToldWhereItCannotBe) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const std::string mark = directory + "/status-signed";
  std::filesystem::create_directories(mark + "/in-the-way");  // as a disk that takes nothing more
  host.signs = true;
  ASSERT_TRUE(run_until([&] { return state().signed_status; }));
  channel->look_at_disk();
  EXPECT_THAT(state().disk_trouble, HasSubstr("that the host signs its status cannot be noted"));
  host.canned_status = 503;  // not heard any more
  expect_written_again(mark);
}

TEST_F(ChannelTest, DestroyedInTheMiddleOfARequest) {
  host.silent = true;
  start();
  loop.run_once(10);
  loop.run_once(10);
  channel.reset();
  loop.run_once(10);
}

constexpr std::uint64_t kHour = 3'600'000;

TEST_F(ChannelTest, AHostThatHoldsBringsAChangeLongBeforeTheNextPoll) {
  host.enforce();
  host.holds = true;
  start(2'000, kHour);
  ASSERT_TRUE(run_until([&] { return host.asked_waits.size() >= 2 && host.asked_waits.back() == "t1 30"; }));
  EXPECT_EQ(host.asked_waits.front(), "- 0") << "first contact is answered at once";
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const auto polls = host.polls;
  const std::string before = host.latched;
  host.reset();
  host.change("t2");
  ASSERT_TRUE(run_until([&] { return state().key != nullptr && state().key->guid != before; }));
  ASSERT_TRUE(run_until([&] { return host.asked_waits.back() == "t2 30"; }));
  EXPECT_EQ(host.polls, polls + 1) << "one that the change ended, and one that waits again";
}

TEST_F(ChannelTest, AHostOfTheFieldIsPolledAtTheOldPace) {
  host.enforce();
  start(2'000, 1'000);
  ASSERT_TRUE(run_until([&] { return host.polls >= 2; }));
  EXPECT_EQ(host.asked_waits, (std::vector<std::string>{"- 0", "- 0"}));
}

TEST_F(ChannelTest, AHostThatSaysItHoldsAndDoesNotIsPolledNoFasterThanThePause) {
  host.enforce();
  host.holds = true;
  host.never_waits = true;
  start(2'000, kHour);
  ASSERT_TRUE(run_until([&] { return host.asked_waits.size() >= 2 && host.asked_waits.back() == "t1 30"; }));
  const auto polls = host.polls;
  run_until([] { return false; }, 400);
  EXPECT_EQ(host.polls, polls);
}

TEST_F(ChannelTest, ANotifyDoesNotWaitForAPollThatIsHeld) {
  host.holds = true;
  start(2'000, kHour);
  ASSERT_TRUE(run_until([&] { return host.asked_waits.size() >= 2 && host.asked_waits.back() == "t1 30"; }));
  EXPECT_EQ(state().phase, Phase::kDisabled);
  host.enforce();
  EXPECT_TRUE(channel->notify());
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_TRUE(std::ranges::none_of(published, [](const auto& s) { return s->message.contains("cannot poll"); }));
}

TEST_F(ChannelTest, WithShortPausesNobodyAsksToBeHeld) {
  host.holds = true;
  start();
  run_polls(3);
  EXPECT_EQ(host.asked_waits.front(), "");
}

}  // namespace
}  // namespace msp::channel
