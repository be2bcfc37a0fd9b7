// SPDX-License-Identifier: Apache-2.0
// Hosts and disks as they are met in years of a machine's life (docs/channel.md, "Cases"): each must end latched, or
// closed with a message that says why.
#include <gmock/gmock.h>

#include <fstream>
#include <set>

#include "channel/channel_fixture.h"
#include "tests/support/log_lines.h"

namespace msp::channel {
namespace {

using testing::HasSubstr;
using testing::Not;

class ChannelLife : public ChannelTest {
 protected:
  void latch() {
    host.enforce();
    start();
    ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  }
  struct Texts {
    std::string good;
    std::string bad;
  };
  // Of the file of this key, which holds the bad one by now: whole, and of other digits.
  Texts change_a_digit(const std::string& path, const std::string& guid) {
    std::ifstream file(path);
    Texts texts{.good = {std::istreambuf_iterator<char>(file), {}}, .bad = {}};
    texts.bad = texts.good;
    char& digit = texts.bad[texts.bad.find(host.keys[guid])];
    digit = digit == '0' ? '1' : '0';
    std::ofstream(path) << texts.bad;
    return texts;
  }
  // Copies of the key files, as a backup has them.
  void back_up() { std::filesystem::copy(directory + "/keys", directory + "/backup"); }
  void restore() {
    std::filesystem::remove_all(directory + "/keys");
    std::filesystem::rename(directory + "/backup", directory + "/keys");
    std::filesystem::permissions(directory + "/keys", std::filesystem::perms(0700));
    for (const auto& entry : std::filesystem::directory_iterator(directory + "/keys")) {
      std::filesystem::permissions(entry.path(), std::filesystem::perms(0600));
    }
  }
};

TEST_F(ChannelLife, StoredKeyOfAnotherIncarnationIsNotUsed) {
  latch();
  const std::string old = host.latched;
  back_up();
  host.reset();
  ASSERT_TRUE(run_until([&] { return state().key->guid != old && state().phase == Phase::kLatched; }));
  channel.reset();
  restore();
  host.refuse_keys = 403;  // the host has a latched key, so it hands out none
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kRefused));
  EXPECT_EQ(state().key, nullptr) << "the key of an earlier incarnation";
  EXPECT_TRUE(state().closed);
  EXPECT_THAT(state().message, HasSubstr(host.latched));
  host.reset();
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << "the operator has announced it";
  EXPECT_EQ(state().key->incarnation, 3U);
}

TEST_F(ChannelLife, IncarnationRaisedIsFollowedWithoutAMomentUnsigned) {
  latch();
  published.clear();
  const std::string old = host.latched;
  host.reset();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().key->guid != old; }));
  EXPECT_EQ(state().key->incarnation, 2U);
  for (const auto& s : published) {
    EXPECT_NE(s->key, nullptr);
  }
}

// Status, key and attestation are each answered with trouble, first from the start, then after a restart.
TEST_F(ChannelLife, HostThatAnswers4xxOr5xxIsAskedAgainAndNothingOpens) {
  host.enforce();
  for (const int status : {400, 404, 429, 500, 503}) {
    for (int* fault : {&host.canned_status, &host.refuse_keys, &host.refuse_attestations}) {
      *fault = status;
      start();
      ASSERT_TRUE(run_until([&] { return state().message.find(std::to_string(status)) != std::string::npos; }))
          << status << ": " << state().message;
      EXPECT_EQ(state().key, nullptr);
      EXPECT_EQ(state().closed, state().ever_latched || fault != &host.canned_status);
      *fault = 0;
      ASSERT_TRUE(run_until_phase(Phase::kLatched)) << status << ": " << state().message;
      channel.reset();
      published.clear();
      for (const std::string& name : key_files()) {
        std::filesystem::remove(directory + "/keys/" + name);
      }
      host.reset();
    }
  }
}

TEST_F(ChannelLife, GarbageFromTheHostAtStartLeavesALatchedMachineClosed) {
  latch();
  channel.reset();
  host.canned_status = 200;
  for (const char* body : {"", "{", "[]", "\xff\xfe", R"({"version":"2.0"})", "<html>sign in</html>"}) {
    host.canned_body = body;
    restart();
    ASSERT_TRUE(run_until([&] { return state().message.find("the status document is refused") != std::string::npos; }))
        << body << ": " << state().message;
    EXPECT_TRUE(state().closed) << body;
    EXPECT_TRUE(state().redirect(Service::kImds)) << body;
    channel.reset();
  }
  host.canned_status = 0;
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
}

TEST_F(ChannelLife, SlowHostIsWaitedForUpToTheDeadline) {
  host.enforce();
  host.delay_ms = 150;
  start(1'000);
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_EQ(host.keys_issued, 1U);
  channel.reset();
  host.delay_ms = 400;
  published.clear();
  start(100);
  ASSERT_TRUE(run_until([&] { return published.back()->message.find("cannot poll the host") != std::string::npos; }));
  EXPECT_TRUE(state().closed);
  host.delay_ms = 0;
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
}

TEST_F(ChannelLife, SilentHostAtTheFirstBootLeavesTrafficAlone) {
  host.silent = true;
  start(50);
  ASSERT_TRUE(run_until([&] { return published.back()->message.find("cannot poll the host") != std::string::npos; }));
  EXPECT_FALSE(state().closed);
  EXPECT_FALSE(state().redirect(Service::kImds));
  host.silent = false;
  host.enforce();
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
}

TEST_F(ChannelLife, HostRestartedWithItsKeysChangesNothing) {
  latch();
  run_polls(2);
  const auto before = channel->state();
  host.silent = true;  // as a host that is away
  host.canned_status = 503;
  run_until([&] { return !state().host_answers; }, 1'500);
  host.silent = false;
  host.canned_status = 0;
  ASSERT_TRUE(run_until([&] { return state().host_answers; }));
  EXPECT_EQ(state().key, before->key);
  EXPECT_EQ(state().phase, Phase::kLatched);
  EXPECT_EQ(host.keys_issued, 1U);
}

TEST_F(ChannelLife, DisabledAndEnabledAgainManyTimes) {
  latch();
  for (int i = 0; i < 5; ++i) {
    host.disable();
    ASSERT_TRUE(run_until_phase(Phase::kDisabled));
    EXPECT_EQ(state().key, nullptr);
    EXPECT_FALSE(state().closed);
    host.enforce();
    ASSERT_TRUE(run_until_phase(Phase::kLatched));
  }
  EXPECT_EQ(host.keys_issued, 1U);
}

TEST_F(ChannelLife, WrongClockAtBootDoesNotMatterTheHostsTimeIsSigned) {
  host.enforce();
  host.date_window_s = 300;
  host.clock_offset_s = 30 * 365 * 86'400LL;
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_EQ(host.stale_dates, 0U);
  // The machine was asleep, or its host was moved: the next good poll says so before anything is signed.
  host.clock_offset_s = -86'400;
  host.reset();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().key->incarnation == 2U; }));
  EXPECT_EQ(host.stale_dates, 0U);
}

TEST_F(ChannelLife, OlderStatusDocumentLatchesAsWell) {
  host.version_1 = true;
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_EQ(state().state, "wireserverandimds");
  EXPECT_TRUE(state().redirect(Service::kImds));
  EXPECT_TRUE(state().redirect(Service::kHostGaPlugin));
  const auto key = state().key;
  host.version_1 = false;
  ASSERT_TRUE(run_until([&] { return state().document->version == "2.0"; }));
  EXPECT_EQ(state().key, key) << "the host was upgraded, the key stays";
  EXPECT_EQ(state().phase, Phase::kLatched);
  host.version_1 = true;
  host.disable();
  ASSERT_TRUE(run_until_phase(Phase::kDisabled));
}

// A host never gives out an id twice; whoever answers for it once could otherwise destroy the stored key for good.
TEST_F(ChannelLife, KeyIsNeverReplacedByAnotherOfTheSameId) {
  latch();
  const std::string guid = host.latched;
  const auto key = state().key;
  host.latched.clear();  // a false status: no key is latched
  host.guid_to_issue = guid;
  ASSERT_TRUE(run_until([&] { return host.keys_issued > 1; }));
  ASSERT_TRUE(run_until([&] { return state().message.find("again, with another key") != std::string::npos; }))
      << state().message;
  EXPECT_EQ(state().key, key);
  EXPECT_EQ(host.attestations, 1U);
  host.latched = guid;
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  EXPECT_TRUE(state().key->bytes == key->bytes) << "the file is as it was";
}

TEST_F(ChannelLife, KeyFilesOfFailedAttemptsAreBoundedAndCostNoOther) {
  host.enforce();
  start(2'000, 1);
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const std::string first = host.latched;
  for (const bool restarted : {false, true}) {
    if (restarted) {
      channel.reset();
      start(2'000, 1);
    }
    host.latched.clear();  // it names no key for a while
    host.refuse_attestations = 500;
    const auto enough = host.keys_issued + 11;
    ASSERT_TRUE(run_until([&] { return host.keys_issued >= enough; }, 20'000));
    run_polls(2);
    EXPECT_LE(key_files().size(), restarted ? 17U : 9U);
    EXPECT_THAT(key_files(), testing::Contains(first + ".key"));
    EXPECT_EQ(state().closed, restarted);
    host.latched = first;
    ASSERT_TRUE(run_until_phase(Phase::kLatched));
    EXPECT_EQ(state().key->guid, first);
    host.refuse_attestations = 0;
  }
}

TEST_F(ChannelLife, CorruptAndHalfWrittenKeyFilesStayClosedAndSayWhichFile) {
  latch();
  channel.reset();
  host.refuse_keys = 403;
  const std::string path = directory + "/keys/" + host.latched + ".key";
  const auto whole = std::filesystem::file_size(path);
  std::filesystem::copy_file(path, directory + "/whole");
  for (const std::uintmax_t size : {std::uintmax_t{0}, std::uintmax_t{1}, whole / 2, whole - 1}) {
    std::filesystem::resize_file(path, size);
    restart();
    ASSERT_TRUE(run_until_phase(Phase::kRefused)) << size;
    EXPECT_TRUE(state().closed) << size;
    EXPECT_THAT(state().message, HasSubstr(path)) << size;
    channel.reset();
  }
  std::filesystem::copy_file(directory + "/whole", path, std::filesystem::copy_options::overwrite_existing);
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << "put back from a backup";
}

// Whole, of the right id, and of other digits: only what the host has signed with tells.
TEST_F(ChannelLife, AKeyFileOfOtherDigitsIsNotUsedWhereTheHostHasSignedAndIsUsedOncePutRight) {
  host.enforce();
  host.signs = true;
  start();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().signed_status; }));
  for (const bool later : {false, true}) {
    const std::string guid = host.latched;
    const std::string path = directory + "/keys/" + guid + ".key";
    channel.reset();
    host.refuse_keys = 403;
    const auto [good, bad] = change_a_digit(path, guid);
    restart();
    ASSERT_TRUE(run_until_phase(Phase::kRefused)) << later;
    EXPECT_TRUE(state().closed);
    EXPECT_EQ(state().key, nullptr);
    EXPECT_THAT(state().message, AllOf(HasSubstr(path), HasSubstr("status-signed"), Not(HasSubstr(bad))));
    std::ofstream(path) << good;
    ASSERT_TRUE(run_until_phase(Phase::kLatched)) << "without a restart";
    EXPECT_EQ(state().key->guid, guid);
    // The same once another key has taken its place, and is vouched for.
    host.reset();
    ASSERT_TRUE(run_until([&] { return state().key->guid != guid && state().phase == Phase::kLatched; }));
    ASSERT_TRUE(run_until([&] { return host.asked_signs.back().ends_with(host.latched); }));
  }
}

// The file is lost; what the host has signed with still tells that this is another.
TEST_F(ChannelLife, AnotherKeyOfAnIdThatHasSignedIsRefused) {
  host.enforce();
  host.signs = true;
  start();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().signed_status; }));
  for (const bool later : {false, true}) {
    const std::string guid = host.latched;
    channel.reset();
    std::filesystem::remove_all(directory + "/keys");
    host.latched.clear();
    host.guid_to_issue = guid;
    host.key_to_issue = std::string(64, '7');
    const auto attested = host.attestations;
    restart();
    ASSERT_TRUE(run_until([&] { return state().message.contains("again, with another key"); })) << state().message;
    EXPECT_TRUE(state().closed) << later;
    EXPECT_EQ(state().key, nullptr);
    EXPECT_EQ(host.attestations, attested);
    EXPECT_TRUE(key_files().empty());
    host.guid_to_issue.clear();
    host.key_to_issue.clear();
    host.reset();
    ASSERT_TRUE(run_until_phase(Phase::kLatched)) << "the operator has announced it";
    EXPECT_NE(state().key->guid, guid);
    ASSERT_TRUE(run_until([&] { return host.asked_signs.back().ends_with(host.latched); })) << "vouched for";
  }
}

// A host that does not sign: its refusals alone tell.
TEST_F(ChannelLife, AKeyThatIsRefusedIsToldAndItsFileUsedOncePutRight) {
  latch();
  const std::string path = directory + "/keys/" + host.latched + ".key";
  const std::string good = change_a_digit(path, host.latched).good;
  const auto received = state().key;
  channel->key_refused(true);
  channel->look_at_disk();
  EXPECT_TRUE(state().key_refused);
  EXPECT_EQ(state().key, received) << "as it came from the host it is better than any file";
  channel->key_refused(false);
  EXPECT_FALSE(state().key_refused);
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  std::ofstream(path) << good;
  channel->look_at_disk();
  EXPECT_FALSE(state().key->bytes == received->bytes) << "nobody has refused the one in use";
  channel->key_refused(true);
  channel->look_at_disk();
  EXPECT_TRUE(state().key->bytes == received->bytes);
  EXPECT_FALSE(state().key_refused);
}

TEST_F(ChannelLife, ADoubtedKeyIsTakenFromItsFileOncePutRight) {
  host.enforce();
  host.signs = true;
  start();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().signed_status; }));
  const std::string first = host.latched;
  host.vouches = false;
  host.reset();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().key->guid != first; }));
  channel.reset();
  // Nothing tells yet that these digits are others.
  const std::string path = directory + "/keys/" + host.latched + ".key";
  const std::string good = change_a_digit(path, host.latched).good;
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  host.vouches = true;
  ASSERT_TRUE(run_until([&] { return state().key_doubted; }));
  std::ofstream(path) << good;
  channel->look_at_disk();
  EXPECT_EQ(hex_encode(state().key->bytes.bytes()), host.keys[host.latched]);
  ASSERT_TRUE(run_until([&] { return !state().key_doubted; }));
  EXPECT_TRUE(run_until([&] { return host.asked_signs.back().ends_with(host.latched); })) << "vouched for";
}

TEST_F(ChannelLife, WhatIsSaidOfAKeyEndsWithIt) {
  latch();
  channel->key_refused(true);
  EXPECT_TRUE(state().key_refused);
  const std::string guid = state().key->guid;
  host.reset();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().key->guid != guid; }));
  EXPECT_FALSE(state().key_refused);
}

TEST_F(ChannelLife, AStatusMarkThatIsDamagedClosesAndSaysSo) {
  host.enforce();
  host.signs = true;
  start();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().signed_status; }));
  channel.reset();
  const std::string mark = directory + "/status-signed";
  std::filesystem::permissions(mark, std::filesystem::perms(0644));
  restart();
  ASSERT_TRUE(run_until([&] { return state().host_code == kStatusUncheckable; })) << state().message;
  EXPECT_TRUE(state().closed);
  EXPECT_THAT(state().message, HasSubstr(mark));
  std::filesystem::permissions(mark, std::filesystem::perms(0600));
  EXPECT_TRUE(run_until_phase(Phase::kLatched)) << "without a restart";
}

TEST_F(ChannelLife, WhatIsNotSignedIsNotBelievedOnceTheHostHasSigned) {
  host.enforce();
  host.signs = true;
  start();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().signed_status; }));
  EXPECT_EQ(host.asked_signs.front(), "") << "no key yet, so nothing to sign with";
  const std::string guid = state().key->guid;
  const auto offset = state().host_time_offset_ms;
  // Somebody else answers, or the host has been downgraded.
  host.signs = false;
  host.disable();
  host.clock_offset_s = 86'400;
  ASSERT_TRUE(run_until([&] { return state().host_code == kStatusUnsigned; }));
  run_polls(3);
  EXPECT_EQ(state().phase, Phase::kLatched);
  EXPECT_EQ(state().key->guid, guid);
  EXPECT_TRUE(state().redirect(Service::kImds));
  EXPECT_EQ(state().host_time_offset_ms, offset) << "the host's time is not believed either";
  // Restarted: closed until something is signed.
  restart();
  ASSERT_TRUE(run_until([&] { return state().host_code == kStatusUnsigned; }));
  run_polls(3);
  EXPECT_TRUE(state().closed);
  EXPECT_TRUE(state().redirect(Service::kImds));
  EXPECT_EQ(state().key, nullptr);
  EXPECT_FALSE(state().host_time_offset_ms.has_value());
  host.clock_offset_s = 0;
  host.enforce();
  host.signs = true;
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  EXPECT_EQ(state().key->guid, guid);
  host.disable();
  EXPECT_TRUE(run_until_phase(Phase::kDisabled)) << "signed, it opens";
}

TEST_F(ChannelLife, TheTimeIsTakenFromAHeaderThatIsSigned) {
  host.enforce();
  host.plain_date = true;
  host.clock_offset_s = 3'600;
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const auto from_any = state().host_time_offset_ms;
  ASSERT_TRUE(from_any.has_value()) << "of a host that signs nothing";
  host.signs = true;
  ASSERT_TRUE(run_until([&] { return state().signed_status && state().host_answers; }));
  const auto before = state().host_time_offset_ms;
  host.clock_offset_s = 86'400;
  run_polls(4);
  EXPECT_TRUE(state().host_answers);
  EXPECT_EQ(state().host_time_offset_ms, before) << "anybody on the way sets this one";
  host.plain_date = false;
  EXPECT_TRUE(run_until([&] { return state().host_time_offset_ms != before; })) << "signed, it counts";
}

TEST_F(ChannelLife, AStatusLargerThanRulesMayBeIsRefused) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  host.canned_body = R"({"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http","version":"2.0",)"
                     R"("secureChannelEnabled":false})";
  host.canned_body.resize((1U << 20) + 1, ' ');
  host.canned_status = 200;
  ASSERT_TRUE(run_until([&] { return !state().host_answers; }));
  EXPECT_EQ(state().phase, Phase::kLatched);
  host.canned_body.pop_back();
  EXPECT_TRUE(run_until_phase(Phase::kDisabled)) << state().message;
}

TEST_F(ChannelLife, AnEncodedStatusIsNotBelieved) {
  latch();
  host.codings = {"identity", "gzip"};
  host.disable();
  ASSERT_TRUE(run_until([&] { return state().message.contains("encoded"); })) << state().message;
  EXPECT_EQ(state().phase, Phase::kLatched);
  host.codings = {"Identity", ""};
  EXPECT_TRUE(run_until_phase(Phase::kDisabled));
}

TEST_F(ChannelLife, AKeyFileIsReadUpToFourKilobytes) {
  host.enforce();
  start();
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  const std::string path = directory + "/keys/" + key_files().front();
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const std::size_t size : {std::size_t{4096}, std::size_t{4097}}) {
    text.resize(size, ' ');
    std::ofstream(path) << text;
    const auto loaded = KeyStore(directory + "/keys", directory).load(state().key->guid);
    EXPECT_EQ(loaded.ok(), size == 4096) << size;
  }
}

TEST_F(ChannelLife, AResetKeyIsFollowedBySignedAnswers) {
  host.enforce();
  host.signs = true;
  start();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().signed_status; }));
  const std::string first = state().key->guid;
  host.reset();
  ASSERT_TRUE(run_until([&] { return state().key != nullptr && state().key->guid != first && state().host_answers; }));
  run_polls(2);
  EXPECT_EQ(state().host_code, "");
  // Restarted before it has heard anything of it, with the key of before lost.
  channel.reset();
  std::filesystem::remove_all(directory + "/keys");
  host.reset();
  restart();
  ASSERT_TRUE(run_until_phase(Phase::kLatched)) << state().message;
  EXPECT_TRUE(state().signed_status);
}

// Nothing else changes with these two, so what is published must not hang on what else does.
TEST_F(ChannelLife, WhatTheHostSignsAsksForAndDoubtsIsPublishedByItself) {
  host.undated = true;
  latch();
  run_polls(3);
  published.clear();
  host.asks = "caller";
  ASSERT_TRUE(run_until([&] { return state().asks.caller; }));
  host.asks.clear();
  ASSERT_TRUE(run_until([&] { return !state().asks.caller; }));
  EXPECT_EQ(published.size(), 2U);
  published.clear();
  host.signs = true;
  ASSERT_TRUE(run_until([&] { return state().signed_status; }));
  EXPECT_EQ(published.size(), 1U);
  const std::string first = state().key->guid;
  host.vouches = false;
  host.reset();
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().key->guid != first; }));
  run_polls(3);
  EXPECT_FALSE(state().key_doubted) << "a host that has never vouched for a later key may not know how";
  published.clear();
  const std::string guid = state().key->guid;
  host.keys[guid] = host.keys[first];
  host.vouches = true;
  ASSERT_TRUE(run_until([&] { return state().key_doubted; }));
  EXPECT_EQ(published.size(), 1U);
  // The host names another by now: what is the matter with this one no longer counts.
  host.refuse_keys = 403;
  host.latched = *random_guid();
  ASSERT_TRUE(run_until_phase(Phase::kRefused)) << state().message;
  EXPECT_FALSE(state().key_doubted);
  EXPECT_EQ(state().key->guid, guid);
}

/// In milliseconds, each that was made.
std::vector<int> pauses(const test::LogLines& said) {
  constexpr std::string_view kBefore = "the host is asked again in ";
  std::vector<int> out;
  for (const auto& line : said.lines()) {
    if (line.text.starts_with(kBefore)) {
      out.push_back(std::stoi(line.text.substr(kBefore.size())));
    }
  }
  return out;
}

// Machines that lost the same host must not come back to it all at once.
TEST_F(ChannelLife, PausesAfterFailedPollsAreSpreadAndOthersAreNot) {
  test::LogLines said(log::Level::kDebug);
  host.enforce();
  start(2'000, 50);
  ASSERT_TRUE(run_until_phase(Phase::kLatched));
  host.canned_status = 503;
  ASSERT_TRUE(run_until([&] { return !state().host_answers; }));
  said.clear();
  ASSERT_TRUE(run_until([&] { return pauses(said).size() >= 12; }));
  const std::vector<int> failed = pauses(said);
  EXPECT_THAT(failed, testing::Each(testing::AllOf(testing::Ge(40), testing::Le(60))));
  EXPECT_GE(std::set(failed.begin(), failed.end()).size(), 3U);
  host.canned_status = 0;
  ASSERT_TRUE(run_until([&] { return state().host_answers; }));
  said.clear();
  run_polls(4);
  EXPECT_THAT(pauses(said), testing::AllOf(testing::SizeIs(testing::Ge(2)), testing::Each(50)));
}

// Much less than ten times as long as it may hold it, and much more than a poll that is not held.
TEST_F(ChannelLife, AHeldPollIsGivenUpSoonAfterItsTime) {
  host.holds = true;
  host.enforce();
  start(200, 2'000);
  ASSERT_TRUE(run_until([&] { return state().phase == Phase::kLatched && state().long_poll; }));
  host.delay_ms = 60'000;
  const auto begun = clock.boottime_ms();
  ASSERT_TRUE(run_until([&] { return !state().host_answers; }, 15'000)) << "2 s, and 0.2 s";
  EXPECT_GE(clock.boottime_ms() - begun, 400U);
}

}  // namespace
}  // namespace msp::channel
