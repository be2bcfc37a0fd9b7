// SPDX-License-Identifier: Apache-2.0
#include "agent/refusal_watch.h"

#include <gtest/gtest.h>

namespace msp::agent {
namespace {

audit::Refusal refusal(std::int64_t time_ns, const char* code) {
  audit::Refusal out;
  out.time_ns = time_ns;
  out.host_code = code;
  return out;
}

TEST(RefusalWatch, SaysWhatTheHostMakesOfTheKeyInUse) {
  const int one = 1;
  const int two = 2;
  RefusalWatch watch;
  EXPECT_EQ(watch.look(&one, {refusal(5, "bad_signature")}, 0), std::nullopt) << "perhaps of the key before";
  EXPECT_EQ(watch.look(&one, {refusal(5, "bad_signature")}, 0), std::nullopt) << "nothing new";
  EXPECT_EQ(watch.look(&one, {refusal(6, "rate_limited"), refusal(5, "bad_signature")}, 0), std::nullopt);
  EXPECT_EQ(watch.look(&one, {refusal(7, "bad_signature")}, 3), true) << "what is served may need no signature";
  EXPECT_EQ(watch.look(&one, {refusal(7, "bad_signature")}, 3), std::nullopt);
  EXPECT_EQ(watch.look(&one, {refusal(7, "bad_signature")}, 4), false);
  EXPECT_EQ(watch.look(&two, {refusal(8, "key_ended")}, 4), std::nullopt) << "asked while the key was replaced";
  EXPECT_EQ(watch.look(&two, {refusal(9, "key_ended")}, 4), true);
}

}  // namespace
}  // namespace msp::agent
