// SPDX-License-Identifier: Apache-2.0
// Which paths are the channel's, however they are spelled.
#include <gtest/gtest.h>

#include "gateway/channel_api.h"

namespace msp::gateway {
namespace {

TEST(ChannelPaths, NoSpellingOfThemIsPassedOn) {
  for (const std::string_view path :
       {"/secure-channel", "/secure-channel/status", "//secure-channel/status", "/Secure-Channel/key",
        "/secure%2dchannel/status", "/secure%252Dchannel/status", "/a/../secure-channel/status", "/./secure-channel",
        "/a/%2e%2e/secure-channel/status", "/%2fsecure-channel", "/secure-channel;x=1/status",
        "/secure-channel%2Fstatus", "/..\\secure-channel/status", "/../secure-channel", "/%zz/../%73ecure-channel/x"}) {
    EXPECT_TRUE(ChannelApi::owns(path)) << path;
  }
  for (const std::string_view path :
       {"/", "", "/machine/", "/secure-channels/status", "/machine/secure-channel", "/secure-chan%nel", "/%", "*"}) {
    EXPECT_FALSE(ChannelApi::owns(path)) << path;
  }
}

}  // namespace
}  // namespace msp::gateway
