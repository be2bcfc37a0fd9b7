// SPDX-License-Identifier: Apache-2.0
#include "base/journal.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <string>

namespace msp {
namespace {

using namespace std::string_literals;

TEST(Journal, AnEntryIsItsFields) {
  const std::array<JournalField, 3> fields = {
      {{"MESSAGE", "channel latched: a=b"}, {"PRIORITY", "6"}, {"MSP_TEXT", "two\nlines"}}};
  EXPECT_EQ(journal_entry(fields),
            "MESSAGE=channel latched: a=b\nPRIORITY=6\nMSP_TEXT\n\x09\0\0\0\0\0\0\0two\nlines\n"s);
}

TEST(Journal, OneDatagramAnEntryAndNeverBlocked) {
  const std::string path = testing::TempDir() + "journal_test.sock";
  ::unlink(path.c_str());
  EXPECT_FALSE(JournalSocket::connect(path).ok()) << "nobody listens";
  const Fd journal(::socket(AF_UNIX, SOCK_DGRAM, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(journal.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  auto socket = JournalSocket::connect(path);
  ASSERT_TRUE(socket.ok());
  EXPECT_TRUE(socket->send("MESSAGE=x\n"));
  std::array<char, 64> got{};
  const ssize_t n = ::recv(journal.get(), got.data(), got.size(), 0);
  EXPECT_EQ(std::string_view(got.data(), static_cast<std::size_t>(n)), "MESSAGE=x\n");
  int sent = 0;
  while (sent < 100'000 && socket->send("MESSAGE=full\n")) {
    ++sent;
  }
  EXPECT_LT(sent, 100'000) << "a journal that reads nothing takes no more, at once";
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace msp
