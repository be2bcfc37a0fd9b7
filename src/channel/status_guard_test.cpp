// SPDX-License-Identifier: Apache-2.0
#include "channel/status_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <utility>
#include <vector>

namespace msp::channel {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kA = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
const std::string kB = "11111111-2222-4333-8444-555555555555";
const std::string kC = "22222222-2222-4333-8444-555555555555";

class StatusGuardTest : public testing::Test {
 protected:
  StatusGuardTest() {
    std::string name = "/tmp/msp-guard-XXXXXX";
    directory = ::mkdtemp(name.data());
    on_machine("one");
    restart();
  }
  ~StatusGuardTest() override { std::filesystem::remove_all(directory); }

  static Key key(const std::string& guid) {
    return {.guid = guid, .incarnation = 1, .bytes = Secret::copy_of(std::string_view(std::string(32, guid[0])))};
  }
  void on_machine(const std::string& id) { std::ofstream(machine_file()) << id << '\n'; }
  std::string machine_file() const { return directory + "/machine"; }
  std::string mark() const { return directory + "/status-signed"; }
  void restart() {
    guard.emplace(directory, machine_file());
    const auto ready = guard->prepare();
    EXPECT_TRUE(ready.ok()) << ready.error().text();
  }
  void use(const std::string& guid) {
    const Key with = key(guid);
    guard->use(&with);
  }
  /// A host that has these keys: with the keys asked for, if it has them.
  static std::string sign(const std::set<std::string>& has, const protocol::SignRequest& asked,
                          const std::string& later, std::string_view body) {
    if (!has.contains(asked.guid) || (!later.empty() && !has.contains(later))) {
      return {};
    }
    Secret secret = *protocol::status_secret(key(asked.guid).bytes);
    if (!later.empty()) {
      secret = *protocol::linked_secret(secret, *protocol::status_secret(key(later).bytes));
    }
    auto mac = HmacSha256::create(secret);
    return protocol::format_status_signature(
        {.guid = later.empty() ? asked.guid : later,
         .signature = *protocol::sign_status(*mac, {.nonce = asked.nonce, .status = 200, .body = body})});
  }
  std::string hear_signed(const std::string& header, const std::string& next,
                          const std::optional<protocol::SignRequest>& asked, std::string_view body = "{}") {
    const auto doubt =
        guard->judge(asked, {.header = header.empty() ? nullptr : &header, .next = next.empty() ? nullptr : &next},
                     {.nonce = asked ? std::string_view(asked->nonce) : "", .status = 200, .body = body});
    return doubt ? doubt->code : "";
  }
  /// The host itself. The code of what is said of its answer; empty: believed.
  std::string hear_host(const std::set<std::string>& has) {
    const auto asked = guard->ask();
    const std::string next = guard->ask_next();
    return hear_signed(asked ? sign(has, *asked, asked->linked, "{}") : "",
                       asked && !next.empty() ? sign(has, *asked, next, "{}") : "", asked);
  }
  /// What somebody answers who has this key alone, whatever he is asked for; empty: it is not signed.
  std::string hear(const std::string& signs_with, std::string_view body = "{}", std::string_view signed_body = "{}") {
    const auto asked = guard->ask();
    std::string header;
    if (!signs_with.empty() && asked) {
      const auto secret = protocol::status_secret(key(signs_with).bytes);
      auto mac = HmacSha256::create(*secret);
      header = protocol::format_status_signature(
          {.guid = asked->linked.empty() ? asked->guid : asked->linked,
           .signature = *protocol::sign_status(*mac, {.nonce = asked->nonce, .status = 200, .body = signed_body})});
    }
    return hear_signed(header, header, asked, body);
  }

  std::string directory;
  std::optional<StatusGuard> guard;
};

TEST_F(StatusGuardTest, AHostThatSignsNothingIsBelievedAsEver) {
  EXPECT_FALSE(guard->ask().has_value()) << "no key, so nothing is asked for";
  EXPECT_EQ(hear(""), "");
  use(kA);
  EXPECT_EQ(guard->ask()->guid, kA);
  EXPECT_EQ(hear(""), "");
  EXPECT_FALSE(guard->demands());
  restart();
  EXPECT_EQ(hear(""), "");
  EXPECT_FALSE(std::filesystem::exists(mark()));
}

TEST_F(StatusGuardTest, WhatWasSignedOnceMustBeSignedAlsoAfterARestart) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  EXPECT_TRUE(guard->demands());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(hear(""), kStatusUnsigned);
    EXPECT_EQ(hear(kB), kStatusWronglySigned);
    EXPECT_EQ(hear(kA, R"({"disabled":true})"), kStatusWronglySigned);
    EXPECT_EQ(hear(kA), "");
    restart();
    EXPECT_TRUE(guard->demands());
    EXPECT_EQ(guard->ask()->guid, kA) << "also while no key is in use";
  }
}

TEST_F(StatusGuardTest, ASignatureThatIsWrongIsNotBelievedEvenTheFirstTime) {
  use(kA);
  EXPECT_EQ(hear(kB), kStatusWronglySigned);
  EXPECT_FALSE(guard->demands());
}

TEST_F(StatusGuardTest, AnAnswerToAnotherQuestionIsNotBelieved) {
  use(kA);
  const auto first = guard->ask();
  const auto secret = protocol::status_secret(key(kA).bytes);
  auto mac = HmacSha256::create(*secret);
  const std::string header = protocol::format_status_signature(
      {.guid = kA, .signature = *protocol::sign_status(*mac, {.nonce = first->nonce, .status = 200, .body = "{}"})});
  EXPECT_EQ(hear_signed(header, "", first), "");
  EXPECT_EQ(hear_signed(header, "", guard->ask()), kStatusWronglySigned);
  std::set<std::string> nonces;
  for (int i = 0; i < 1000; ++i) {
    nonces.insert(guard->ask()->nonce);
  }
  EXPECT_EQ(nonces.size(), 1000U);
}

TEST_F(StatusGuardTest, TheNextKeyTakesOverWhenTheFirstHasVouchedForIt) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  EXPECT_EQ(guard->ask_next(), "");
  use(kB);
  EXPECT_EQ(guard->ask()->guid, kA);
  EXPECT_EQ(guard->ask_next(), kB);
  EXPECT_EQ(hear_host({kA}), "") << "a host that has lost the key in use, or knows nothing of the other header";
  EXPECT_EQ(guard->ask()->linked, "");
  EXPECT_EQ(hear_host({kA, kB}), "");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(guard->ask()->guid, kA);
    EXPECT_EQ(guard->ask()->linked, kB);
    EXPECT_EQ(guard->ask_next(), "");
    EXPECT_EQ(hear_host({kA, kB}), "");
    EXPECT_EQ(hear(kA), kStatusWronglySigned) << "reset, perhaps since others know it";
    EXPECT_EQ(hear(kB), kStatusWronglySigned) << "perhaps read while it was given out";
    restart();
  }
  use(kC);
  EXPECT_EQ(guard->ask()->linked, kB);
  EXPECT_EQ(hear_host({kA, kB, kC}), "");
  restart();
  EXPECT_EQ(guard->ask()->guid, kA);
  EXPECT_EQ(guard->ask()->linked, kC);
  EXPECT_EQ(hear_host({kA, kB}), kStatusUnsigned) << "a host of an earlier day";
  EXPECT_EQ(hear_host({kA, kB, kC}), "");
}

// Whoever sits on the way while a key is replaced hands out one of his own, and signs with it.
TEST_F(StatusGuardTest, AKeyThatSomebodyElseHasGivenOutSignsNothing) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  use(kC);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(hear(kC, "{}"), kStatusWronglySigned);
    EXPECT_EQ(hear(""), kStatusUnsigned);
    const auto asked = guard->ask();
    EXPECT_EQ(hear_signed("", sign({kA, kC}, *asked, kC, "{}"), asked), kStatusUnsigned) << "the other alone";
    EXPECT_EQ(hear_host({kA, kB}), "") << "the real host says what is the matter";
    restart();
    EXPECT_EQ(guard->ask()->guid, kA);
    EXPECT_EQ(guard->ask()->linked, "");
    use(kC);
  }
}

// The real host's key id with other bytes: the host's word for that id is no word for this key.
TEST_F(StatusGuardTest, AnotherKeyOfTheSameIdIsNotVouchedFor) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  Key forged = key(kC);
  forged.guid = kB;
  guard->use(&forged);
  EXPECT_EQ(guard->ask_next(), kB);
  EXPECT_FALSE(guard->doubts());
  EXPECT_EQ(hear_host({kA, kB}), "") << "what the host says counts";
  EXPECT_EQ(guard->ask()->linked, "");
  EXPECT_TRUE(guard->doubts());
  EXPECT_EQ(hear_host({kA}), "");
  EXPECT_TRUE(guard->doubts()) << "who leaves the other signature out takes nothing back";
  use(kA);
  EXPECT_FALSE(guard->doubts());
  use(kB);
  EXPECT_EQ(hear_host({kA, kB}), "");
  EXPECT_FALSE(guard->doubts());
  EXPECT_EQ(guard->ask()->linked, kB);
}

// A host that has never vouched for a later key may not know how; one that has does, also before a restart.
TEST_F(StatusGuardTest, AKeyThatIsNotVouchedForIsDoubtedWhereTheHostKnowsHow) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  EXPECT_FALSE(guard->doubts());
  use(kB);
  EXPECT_EQ(hear_host({kA}), "");
  EXPECT_FALSE(guard->doubts());
  EXPECT_EQ(hear_host({kA, kB}), "");
  EXPECT_FALSE(guard->doubts());
  restart();
  use(kC);
  EXPECT_FALSE(guard->doubts()) << "nothing is heard yet";
  EXPECT_EQ(hear(""), kStatusUnsigned);
  EXPECT_FALSE(guard->doubts()) << "nobody's word";
  EXPECT_EQ(hear_host({kA, kB}), "");
  EXPECT_TRUE(guard->doubts());
  EXPECT_EQ(hear_host({kA, kB, kC}), "");
  EXPECT_FALSE(guard->doubts());
}

TEST_F(StatusGuardTest, WhoDropsTheKeyStillDemands) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  guard->use(nullptr);
  EXPECT_EQ(hear(""), kStatusUnsigned);
  EXPECT_EQ(hear(kA), "");
}

TEST_F(StatusGuardTest, OnAnotherMachineThisDiskBindsNobody) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  on_machine("two");
  restart();
  EXPECT_FALSE(guard->demands());
  EXPECT_EQ(hear(""), "");
  use(kB);
  EXPECT_EQ(hear(kB), "");
  restart();
  EXPECT_TRUE(guard->demands());
  on_machine("one");
  restart();
  EXPECT_FALSE(guard->demands());
}

TEST_F(StatusGuardTest, WhereTheMachineCannotBeToldItCountsAsTheSame) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  std::filesystem::remove(machine_file());
  restart();
  EXPECT_TRUE(guard->demands());
}

TEST_F(StatusGuardTest, AMarkThatCannotBeReadLetsNothingBeBelievedUntilItCan) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  std::string good;
  std::getline(std::ifstream(mark()), good);
  const std::string digits(64, 'a');
  for (const std::string& bad :
       {std::string(), good.substr(0, 60), kA, kA + " - zz", "x - " + digits, good + " ", good + " " + kB,
        good + " " + kB + " aa", good + " x " + digits, good + " " + kB + " " + digits + " "}) {
    std::ofstream(mark()) << bad;
    guard.emplace(directory, machine_file());
    const auto ready = guard->prepare();
    ASSERT_FALSE(ready.ok()) << bad;
    EXPECT_THAT(ready.error().text(), AllOf(HasSubstr(mark()), Not(HasSubstr(good.substr(good.size() - 64)))));
    EXPECT_TRUE(guard->demands());
    EXPECT_EQ(hear(""), kStatusUnsigned);
  }
  std::ofstream(mark()) << good << '\n';
  std::filesystem::permissions(mark(), std::filesystem::perms(0644));
  EXPECT_FALSE(guard->prepare().ok()) << "others may have read it";
  std::filesystem::permissions(mark(), std::filesystem::perms(0600));
  EXPECT_TRUE(guard->prepare().ok());
  EXPECT_EQ(hear(kA), "");
}

TEST_F(StatusGuardTest, WhatIsGoneOrCouldNotBeNotedIsNotedWithoutAnAnswer) {
  EXPECT_TRUE(guard->keep().ok());
  EXPECT_FALSE(std::filesystem::exists(mark())) << "there is nothing to note";
  use(kA);
  std::filesystem::create_directory(mark());
  EXPECT_EQ(hear(kA), "");
  testing::internal::CaptureStderr();
  EXPECT_THAT(guard->keep().error().text(), HasSubstr(mark()));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), Not(HasSubstr("cannot note"))) << "told with the answer";
  std::filesystem::remove(mark());
  EXPECT_TRUE(guard->keep().ok());
  EXPECT_TRUE(std::filesystem::is_regular_file(mark()));
  std::filesystem::remove(mark());
  EXPECT_TRUE(guard->keep().ok());
  restart();
  EXPECT_TRUE(guard->demands());
  std::filesystem::remove(mark());
  restart();
  EXPECT_TRUE(guard->keep().ok());
  EXPECT_FALSE(guard->demands()) << "removed while it was stopped: it begins anew";
  EXPECT_FALSE(std::filesystem::exists(mark()));
}

TEST_F(StatusGuardTest, WhatSomebodyDamagesUnderARunningAgentIsNotedAgain) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  std::string good;
  std::getline(std::ifstream(mark()), good);
  std::string other = good;
  other.back() = other.back() == '0' ? '1' : '0';
  const std::string elsewhere = directory + "/elsewhere";
  std::ofstream(elsewhere) << good << '\n';
  const auto write = [&](const std::string& text) { std::ofstream(mark()) << text; };
  const std::vector<std::pair<const char*, std::function<void()>>> damages = {
      {"empty", [&] { write(""); }},
      {"garbage", [&] { write("x y z\n"); }},
      {"another secret", [&] { write(other + "\n"); }},
      {"endless", [&] { write(std::string(100'000, 'a')); }},
      {"others may read it", [&] { ::chmod(mark().c_str(), 0644); }},
      {"a link", [&] { std::filesystem::create_symlink(elsewhere, mark()); }},
      {"a pipe", [&] { ::mkfifo(mark().c_str(), 0600); }}};
  for (const auto& [what, damage] : damages) {
    if (std::string_view(what).starts_with("a ")) {
      std::filesystem::remove(mark());
    }
    damage();
    EXPECT_TRUE(guard->keep().ok()) << what;
    std::string now;
    std::getline(std::ifstream(mark()), now);
    EXPECT_EQ(now, good) << what;
    EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(mark()))) << what;
    restart();
  }
  std::filesystem::remove(mark());
  std::filesystem::create_directory(mark());
  EXPECT_FALSE(guard->keep().ok()) << "told, where it cannot be";
  std::filesystem::remove(mark());
  EXPECT_TRUE(guard->keep().ok());
}

TEST_F(StatusGuardTest, WhoDamagesItTimeAndAgainIsToldOnceUntilItWasGood) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  const auto said = [&](bool damaged) {
    if (damaged) {
      std::filesystem::remove(mark());
    }
    testing::internal::CaptureStderr();
    EXPECT_TRUE(guard->keep().ok());
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(said(true), HasSubstr("somebody changed or removed"));
  EXPECT_EQ(said(true), "");
  EXPECT_EQ(said(true), "");
  EXPECT_EQ(said(false), "");
  EXPECT_THAT(said(true), HasSubstr("somebody changed or removed"));
}

TEST_F(StatusGuardTest, AMarkThatNamesAMachineStaysAsItIsWhereTheMachineCannotBeTold) {
  use(kA);
  EXPECT_EQ(hear(kA), "");
  std::filesystem::remove(machine_file());
  restart();
  EXPECT_TRUE(guard->keep().ok());
  on_machine("two");
  restart();
  EXPECT_FALSE(guard->demands()) << "it names machine one as before";
}

// Written where the machine could not be told.
TEST_F(StatusGuardTest, AMarkThatNamesNoMachineBindsOnAny) {
  std::filesystem::remove(machine_file());
  restart();
  use(kA);
  EXPECT_EQ(hear(kA), "");
  on_machine("two");
  restart();
  EXPECT_TRUE(guard->demands());
}

TEST_F(StatusGuardTest, WhatCannotBeNotedIsNotedWithTheNextAnswer) {
  use(kA);
  std::filesystem::create_directory(mark());
  EXPECT_EQ(hear(kA), "");
  EXPECT_EQ(hear(""), kStatusUnsigned) << "in this run it holds";
  std::filesystem::remove(mark());
  EXPECT_EQ(hear(kA), "");
  EXPECT_TRUE(std::filesystem::is_regular_file(mark()));
}

// A host tells a machine from its clone by them.
TEST_F(StatusGuardTest, NoncesOfARunBeginAlikeAndThoseOfAnotherDoNot) {
  use(kA);
  const std::string first(guard->ask()->run());
  const std::string nonce = guard->ask()->nonce;
  EXPECT_EQ(guard->ask()->run(), first);
  EXPECT_NE(guard->ask()->nonce, nonce);
  restart();
  use(kA);
  EXPECT_NE(guard->ask()->run(), first);
}

}  // namespace
}  // namespace msp::channel
