// SPDX-License-Identifier: Apache-2.0
#include "base/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <thread>

namespace msp {
namespace {

/// What a manager gets: text, and a descriptor if one came along.
struct Message {
  std::string text;
  Fd fd;
};

class ServiceManagerTest : public testing::Test {
 protected:
  void SetUp() override { forget_environment(); }
  void TearDown() override { forget_environment(); }

  static void forget_environment() {
    for (const char* name :
         {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
      ::unsetenv(name);
    }
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  /// A socket as systemd's: abstract, named after this process.
  void listen_as_manager() {
    const std::string name = "@msp-service-manager-test-" + std::to_string(::getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    address.sun_path[0] = '\0';
    manager_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(manager_.get(), reinterpret_cast<sockaddr*>(&address),
                     static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0);
    set("NOTIFY_SOCKET", name);
  }
  Message next() {
    pollfd waiting{.fd = manager_.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&waiting, 1, 3000), 1) << "nothing came";
    char text[1024];
    iovec piece{.iov_base = text, .iov_len = sizeof(text)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t n = ::recvmsg(manager_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    Message out{std::string(text, n < 0 ? 0 : static_cast<std::size_t>(n)), Fd()};
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
      out.fd = Fd(fd);
    }
    return out;
  }
  Fd manager_;
};

TEST_F(ServiceManagerTest, WithoutOneEverythingSucceedsAndNothingHappens) {
  ServiceManager manager = ServiceManager::from_environment();
  EXPECT_FALSE(manager.present());
  EXPECT_TRUE(manager.notify("READY=1").ok());
  EXPECT_TRUE(manager.store("x", Fd(::dup(0))).ok());
  EXPECT_TRUE(manager.barrier(0).ok());
  EXPECT_FALSE(manager.watchdog_ms());
  EXPECT_TRUE(manager.take_stored().empty());
}

TEST_F(ServiceManagerTest, MessagesAndDescriptorsArrive) {
  listen_as_manager();
  const ServiceManager manager = ServiceManager::from_environment();
  ASSERT_TRUE(manager.notify("READY=1\nSTATUS=ready").ok());
  EXPECT_EQ(next().text, "READY=1\nSTATUS=ready");
  const Fd kept(::dup(manager_.get()));
  ASSERT_TRUE(manager.store("l-17", kept).ok());
  const Message stored = next();
  EXPECT_EQ(stored.text, "FDSTORE=1\nFDNAME=l-17");
  struct stat sent{}, received{};
  ASSERT_EQ(::fstat(kept.get(), &sent), 0);
  ASSERT_EQ(::fstat(stored.fd.get(), &received), 0);
  EXPECT_EQ(sent.st_ino, received.st_ino);
  ASSERT_TRUE(manager.forget("l-17").ok());
  EXPECT_EQ(next().text, "FDSTOREREMOVE=1\nFDNAME=l-17");
}

TEST_F(ServiceManagerTest, BarrierWaitsUntilTheManagerHasReadIt) {
  listen_as_manager();
  const ServiceManager manager = ServiceManager::from_environment();
  const auto late = manager.barrier(50);
  ASSERT_FALSE(late.ok()) << "nobody has read it";
  EXPECT_EQ(late.error().code, ETIMEDOUT);
  next();
  std::thread reader([&] { EXPECT_EQ(next().text, "BARRIER=1"); });
  EXPECT_TRUE(manager.barrier(3000).ok());
  reader.join();
}

TEST_F(ServiceManagerTest, ManagerThatIsGoneIsAnError) {
  listen_as_manager();
  manager_.reset();
  EXPECT_FALSE(ServiceManager::from_environment().notify("READY=1").ok());
}

TEST_F(ServiceManagerTest, WatchdogOfThisProcessOnly) {
  set("WATCHDOG_USEC", "2500000");
  EXPECT_EQ(ServiceManager::from_environment().watchdog_ms(), 2500U);
  set("WATCHDOG_PID", std::to_string(::getpid()));
  EXPECT_EQ(ServiceManager::from_environment().watchdog_ms(), 2500U);
  set("WATCHDOG_PID", "1");
  EXPECT_FALSE(ServiceManager::from_environment().watchdog_ms());
  ::unsetenv("WATCHDOG_PID");
  for (const char* bad : {"0", "", "soon", "-1"}) {
    set("WATCHDOG_USEC", bad);
    EXPECT_FALSE(ServiceManager::from_environment().watchdog_ms()) << bad;
  }
}

// In a child: the descriptors from 3 on are then its own to replace.
int stored_names(const std::string& pid, const std::string& names) {
  ::dup2(0, 3);
  ::dup2(0, 4);
  ::closefrom(5);
  ::setenv("LISTEN_PID", pid.empty() ? std::to_string(::getpid()).c_str() : pid.c_str(), 1);
  ::setenv("LISTEN_FDS", "3", 1);  // the third is not there
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  ServiceManager manager = ServiceManager::from_environment();
  std::string seen;
  for (const auto& [name, fd] : manager.take_stored()) {
    seen += name + "=" + std::to_string(fd.get()) + " ";
  }
  std::fputs(seen.c_str(), stderr);
  return manager.take_stored().empty() ? 0 : 1;
}

TEST_F(ServiceManagerTest, PassedDescriptorsHaveTheirNames) {
  EXPECT_EXIT(::_exit(stored_names("", "l-1:l-2:l-3")), testing::ExitedWithCode(0), "^l-1=3 l-2=4 $");
  EXPECT_EXIT(::_exit(stored_names("", "l-1")), testing::ExitedWithCode(0), "^l-1=3 =4 $");
  EXPECT_EXIT(::_exit(stored_names("1", "l-1:l-2:l-3")), testing::ExitedWithCode(0), "^$") << "another process's";
}

}  // namespace
}  // namespace msp
