// SPDX-License-Identifier: Apache-2.0
// Which paths are the channel's, however they are spelled.
#include <gtest/gtest.h>

#include "gateway/channel_api.h"

namespace msp::gateway {
namespace {

TEST(ChannelPaths, NoSpellingOfThemIsPassedOn) {
  for (const std::string_view path : {"/secure-channel",
                                      "/secure-channel/status",
                                      "//secure-channel/status",
                                      "/Secure-Channel/key",
                                      "/secure%2dchannel/status",
                                      "/secure%252Dchannel/status",
                                      "/a/../secure-channel/status",
                                      "/./secure-channel",
                                      "/a/%2e%2e/secure-channel/status",
                                      "/%2fsecure-channel",
                                      "/secure-channel;x=1/status",
                                      "/secure-channel%2Fstatus",
                                      "/..\\secure-channel/status",
                                      "/../secure-channel",
                                      "/%zz/../%73ecure-channel/x",
                                      "/Secure-Channel//../status",
                                      "/secure%2dchannel//../status",
                                      "/secure%2Dchannel/../x",
                                      "/secure%2dchannel/;/../status",
                                      "/secure-channel%00/x",
                                      "/secure-channel%00x",
                                      "/secure%00-channel/x",
                                      "/secure-channel%3f/status",
                                      "/secure-channel%23/status",
                                      "/secure-channel%20/status",
                                      "/%09secure-channel/x",
                                      "/secure%25252dchannel/status",
                                      "/secure%2525252525252dchannel/status",
                                      "/secure_channel/status",
                                      "/machine/secure-channel",
                                      "/a;secure-channel",
                                      "/a%5csecure-channel",
                                      "/secure-channel%7f",
                                      "/secure-channel./x",
                                      "/%2525252525252525252541"}) {
    EXPECT_TRUE(ChannelApi::owns(path)) << path;
  }
  for (const std::string_view path :
       {"/", "", "/machine/", "/machine", "/secure-channels/status", "/secure-chan%nel", "/%", "*", "/secure/channel",
        "/insecure-channel/status", "/metadata/instance/compute/secureProfile", "/metadata/secure-channel-x",
        "/HostGAPlugin%2Fx", "/machine/secure%2dchannels", "/vmAgentLog/a%20b/%2525/..//x;y", "/secure-channel-%00"}) {
    EXPECT_FALSE(ChannelApi::owns(path)) << path;
  }
}

}  // namespace
}  // namespace msp::gateway
