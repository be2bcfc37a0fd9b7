// SPDX-License-Identifier: Apache-2.0
#include "agent/provision_query.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/support/raw_peer.h"

namespace msp::agent {
namespace {

using test::RawOrigin;
using testing::HasSubstr;
using testing::IsEmpty;

std::string answer(std::string_view body, int status = 200) {
  return fmt::format("HTTP/1.1 {} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}", status, body.size(), body);
}

/// Answers with these in turn, the last one for ever; keeps what it was asked.
class Agent {
 public:
  explicit Agent(std::vector<std::string> answers)
      : answers_(std::move(answers)), origin_([this](RawOrigin& origin, int socket) {
          const std::string request = origin.read_request(socket);
          const std::lock_guard lock(mutex_);
          RawOrigin::say(socket, answers_[std::min(asked_.size(), answers_.size() - 1)]);
          asked_.push_back(request);
        }) {}

  Ipv4Endpoint endpoint() const { return origin_.endpoint(); }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> answers_;
  std::vector<std::string> asked_;
  RawOrigin origin_;
};

struct Outcome {
  ProvisionState state;
  std::vector<std::string> failures;
};

Outcome query(const Ipv4Endpoint& agent, std::optional<std::uint32_t> wait) {
  Outcome out;
  out.state = query_provision({.agent = agent, .began_ms = SystemClock().boottime_ms(), .wait = wait, .tick_ns = 1234},
                              [&](const Error& error) { out.failures.push_back(error.text()); });
  return out;
}

constexpr std::string_view kNotYet = R"({"finished":false,"errorMessage":"keyLatchStatus - waiting\r\n"})";
constexpr std::string_view kGood = R"({"finished":true,"errorMessage":""})";
constexpr std::string_view kFailed = R"({"finished":true,"errorMessage":"keyLatchStatus - no key\r\n"})";

TEST(ProvisionQuery, AsksAsTheFieldDoes) {
  Agent agent({answer(kGood)});
  const Outcome out = query(agent.endpoint(), std::nullopt);
  EXPECT_EQ(exit_code(out.state), 0);
  EXPECT_THAT(out.failures, IsEmpty());
  ASSERT_EQ(agent.asked().size(), 1U);
  EXPECT_THAT(agent.asked()[0], testing::StartsWith("GET /provision HTTP/1.1\r\n"));
  EXPECT_THAT(agent.asked()[0], HasSubstr("\r\nmetadata: true\r\n"));
  EXPECT_THAT(agent.asked()[0], HasSubstr("\r\nx-ms-azure-time-tick: 1234\r\n"));
  EXPECT_THAT(agent.asked()[0], HasSubstr("\r\nx-ms-azure-notify: true\r\n"));
}

TEST(ProvisionQuery, NotFinishedIsAskedOnceWithoutAWait) {
  Agent agent({answer(kNotYet)});
  const Outcome out = query(agent.endpoint(), std::nullopt);
  EXPECT_EQ(exit_code(out.state), 1);
  EXPECT_EQ(out.state.error_message, "") << "what is not over has no result";
  EXPECT_EQ(agent.asked().size(), 1U);
}

TEST(ProvisionQuery, WaitsUntilItIsOverAndNotifiesOnce) {
  Agent agent({answer(kNotYet), answer(kNotYet), answer(kGood)});
  const Outcome out = query(agent.endpoint(), 30);
  EXPECT_EQ(exit_code(out.state), 0);
  ASSERT_EQ(agent.asked().size(), 3U);
  EXPECT_THAT(agent.asked()[0], HasSubstr("x-ms-azure-notify"));
  EXPECT_THAT(agent.asked()[1], testing::Not(HasSubstr("x-ms-azure-notify")));
  EXPECT_THAT(agent.asked()[2], testing::Not(HasSubstr("x-ms-azure-notify")));
}

TEST(ProvisionQuery, AnErrorAtTheEnd) {
  Agent agent({answer(kFailed)});
  const Outcome out = query(agent.endpoint(), 30);
  EXPECT_EQ(exit_code(out.state), 2);
  EXPECT_EQ(out.state.error_message, "keyLatchStatus - no key\r\n");
}

TEST(ProvisionQuery, TheWaitEnds) {
  Agent agent({answer(kNotYet)});
  const std::uint64_t before = SystemClock().boottime_ms();
  const Outcome out = query(agent.endpoint(), 1);
  EXPECT_EQ(exit_code(out.state), 1);
  EXPECT_GE(SystemClock().boottime_ms() - before, 1000U);
  EXPECT_GE(agent.asked().size(), 2U);
}

TEST(ProvisionQuery, NobodyThereIsToldAtEachTry) {
  Ipv4Endpoint nobody;
  {
    auto socket = make_tcp_socket();
    ASSERT_TRUE(bind_and_listen(*socket, {{127, 0, 0, 2}, 0}, 1).ok());
    nobody = *local_endpoint(socket->get());
  }
  const Outcome once = query(nobody, std::nullopt);
  EXPECT_EQ(exit_code(once.state), 1);
  ASSERT_EQ(once.failures.size(), 1U);
  EXPECT_THAT(once.failures[0], HasSubstr("Connection refused"));
  EXPECT_GE(query(nobody, 1).failures.size(), 2U);
}

TEST(ProvisionQuery, WhatIsNoAnswerIsAFailedTryAndTheNextOneNotifies) {
  for (const std::string& bad : {answer("", 503), answer("{}"), answer(R"({"finished":1,"errorMessage":""})"),
                                 answer("nonsense"), std::string("not HTTP\r\n\r\n")}) {
    Agent agent({bad, answer(kGood)});
    const Outcome out = query(agent.endpoint(), 30);
    EXPECT_EQ(exit_code(out.state), 0) << bad;
    EXPECT_EQ(out.failures.size(), 1U) << bad;
    ASSERT_EQ(agent.asked().size(), 2U);
    EXPECT_THAT(agent.asked()[1], HasSubstr("x-ms-azure-notify"));
  }
}

}  // namespace
}  // namespace msp::agent
