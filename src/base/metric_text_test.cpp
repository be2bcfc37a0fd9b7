// SPDX-License-Identifier: Apache-2.0
#include "base/metric_text.h"

#include <gtest/gtest.h>

namespace msp {
namespace {

TEST(MetricText, FamiliesAndSamples) {
  MetricText text("msp_");
  text.counter("requests_total", "Requests.").sample(std::uint64_t{7}, {{"outcome", "served"}, {"service", "imds"}});
  text.sample(std::uint64_t{18'446'744'073'709'551'615U});
  text.gauge("offset_seconds", "Offset.").sample(-0.412);
  text.gauge("up", "Whether.").sample(true);
  EXPECT_EQ(std::move(text).take(),
            "# HELP msp_requests_total Requests.\n# TYPE msp_requests_total counter\n"
            "msp_requests_total{outcome=\"served\",service=\"imds\"} 7\nmsp_requests_total 18446744073709551615\n"
            "# HELP msp_offset_seconds Offset.\n# TYPE msp_offset_seconds gauge\nmsp_offset_seconds -0.412\n"
            "# HELP msp_up Whether.\n# TYPE msp_up gauge\nmsp_up 1\n");
}

TEST(MetricText, NoValueOfALabelBreaksOut) {
  MetricText text("m_");
  text.gauge("g", "back\\slash \"quotes\"\nline").sample(false, {{"name", "a\"} 1\nm_g{x=\"\\\xFF\xC3\xA4"}});
  EXPECT_EQ(std::move(text).take(),
            "# HELP m_g back\\\\slash \"quotes\"\\nline\n# TYPE m_g gauge\n"
            "m_g{name=\"a\\\"} 1\\nm_g{x=\\\"\\\\\xEF\xBF\xBD\xC3\xA4\"} 0\n");
}

}  // namespace
}  // namespace msp
