// SPDX-License-Identifier: Apache-2.0
// What the record says of the caller, for every way to connect.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "intercept/cgroup.h"
#include "intercept/self_check.h"
#include "tests/bpf/lab.h"

namespace msp::lab {
namespace {

using testing::ElementsAre;

const Who kAlice{.uid = 12001, .gid = 13001, .groups = {13002, 13003}};

class IdentityFacts : public BpfTest {
 protected:
  /// The client must have connected; what the agent sees must be that client.
  void expect_client(pid_t client, const Who& who, const Ipv4Endpoint& destination) {
    // Open until the client has ended: one that has not been heard would be reset, on a slow machine within its call.
    auto accepted = accept_one(listener);
    ASSERT_TRUE(accepted) << accepted.error().text();
    auto identity = source.identify(accepted->get());
    ASSERT_TRUE(identity) << identity.error().text();
    EXPECT_TRUE(identity->known) << to_string(identity->unknown);
    EXPECT_EQ(identity->uid, who.uid);
    EXPECT_EQ(identity->gid, who.gid);
    EXPECT_EQ(identity->tgid, static_cast<std::uint32_t>(client));
    EXPECT_EQ(identity->destination, destination);
    EXPECT_FALSE(identity->direct);
    EXPECT_EQ(wait_for(client), 0);
  }
};

std::string own_path() { return std::filesystem::read_symlink("/proc/self/exe"); }

/// Field 22 of /proc/<pid>/stat, in clock ticks since boot.
std::uint64_t start_ticks(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::istringstream rest(text.substr(text.rfind(')') + 2));
  std::string field;
  for (int i = 3; i <= 22; ++i) {
    rest >> field;
  }
  return std::stoull(field);
}

TEST_F(IdentityFacts, PlainConnect) {
  const pid_t client = lab->spawn(kAlice, [] {
    Fd fd;
    const int failed = connect_to(kImdsEndpoint, fd);
    ::sleep(failed == 0 ? 1 : 0);
    return failed;
  });
  auto identity = next_identity();
  ASSERT_TRUE(identity) << identity.error().text();
  EXPECT_TRUE(identity->known);
  EXPECT_EQ(identity->uid, 12001U);
  EXPECT_EQ(identity->euid, 12001U);
  EXPECT_EQ(identity->egid, 13001U);
  EXPECT_THAT(identity->groups, ElementsAre(13001, 13002, 13003));
  EXPECT_FALSE(identity->more_groups);
  EXPECT_FALSE(identity->elevated);
  EXPECT_FALSE(identity->user_namespace);
  EXPECT_FALSE(identity->executable_deleted);
  EXPECT_EQ(identity->tgid, static_cast<std::uint32_t>(client));
  EXPECT_EQ(identity->destination, kImdsEndpoint);
  EXPECT_EQ(identity->exe_path, own_path());
  EXPECT_EQ(identity->process_name, std::filesystem::path(own_path()).filename());
  EXPECT_EQ(identity->cgroup_id, *intercept::cgroup_id(lab->clients_cgroup()));
  const auto tick = 1000000000ULL / static_cast<unsigned long>(::sysconf(_SC_CLK_TCK));
  EXPECT_EQ(identity->start_time_ns / tick, start_ticks(client));
  EXPECT_GT(identity->time_ns, identity->start_time_ns);
  EXPECT_EQ(wait_for(client), 0);
}

TEST_F(IdentityFacts, EachServiceKeepsItsDestination) {
  for (const Ipv4Endpoint& to : {kImdsEndpoint, kWireServerEndpoint, kHostGaPluginEndpoint}) {
    const pid_t client = lab->spawn({}, [&to] {
      Fd fd;
      return connect_to(to, fd);
    });
    auto identity = next_identity();
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->destination, to);
    EXPECT_TRUE(identity->elevated);
    EXPECT_EQ(wait_for(client), 0);
  }
  EXPECT_EQ(counters()->redirected, 3U);
}

TEST_F(IdentityFacts, MappedAddressOfAnInet6Socket) {
  const pid_t client = lab->spawn(kAlice, [] {
    const Fd fd(::socket(AF_INET6, SOCK_STREAM, 0));
    return connect_mapped(fd.get(), kImdsEndpoint);
  });
  expect_client(client, kAlice, kImdsEndpoint);
}

int send_fast_open(int protocol, const Ipv4Endpoint& to = kImdsEndpoint) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM, protocol));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(to.port);
  std::memcpy(&in.sin_addr, to.address.data(), 4);
  const ssize_t sent = ::sendto(fd.get(), "GET", 3, MSG_FASTOPEN, reinterpret_cast<sockaddr*>(&in), sizeof(in));
  return sent == 3 ? 0 : errno;
}

// 0x1 client, 0x2 server, 0x4 and 0x200 without cookie, 0x400 for every listener: the data travels in the SYN.
constexpr const char* kFastOpenForAll = "1543";

TEST_F(IdentityFacts, FastOpenMessage) {
  ASSERT_TRUE(set_sysctl("net/ipv4/tcp_fastopen", "1"));
  pid_t client = lab->spawn(kAlice, [] { return send_fast_open(0); });
  expect_client(client, kAlice, kImdsEndpoint);
  ASSERT_TRUE(set_sysctl("net/ipv4/tcp_fastopen", kFastOpenForAll));
  auto again = interceptor->open_listener(kListener2, 16);
  ASSERT_TRUE(again);
  auto settings = Lab::settings();
  settings.listeners = {kListener2};
  ASSERT_TRUE(interceptor->set_settings(settings));
  listener = std::move(*again);
  client = lab->spawn(kAlice, [] { return send_fast_open(0); });
  expect_client(client, kAlice, kImdsEndpoint);
}

TEST_F(IdentityFacts, FastOpenOptionDefersTheSyn) {
  ASSERT_TRUE(set_sysctl("net/ipv4/tcp_fastopen", kFastOpenForAll));
  const pid_t client = lab->spawn(kAlice, [] {
    const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
    const int one = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
    const int failed = connect_socket(fd.get(), kImdsEndpoint);
    return failed != 0 ? failed : (::send(fd.get(), "GET", 3, 0) == 3 ? 0 : errno);
  });
  expect_client(client, kAlice, kImdsEndpoint);
}

/// A connect that is asked for through a ring: 0 or errno. `ring_flags`: who takes it up; `request_flags`: who does it.
int connect_through_ring(unsigned ring_flags, unsigned request_flags) {
  io_uring ring{};
  if (const int failed = ::io_uring_queue_init(4, &ring, ring_flags); failed != 0) {
    return -failed;
  }
  const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(kImdsEndpoint.port);
  std::memcpy(&in.sin_addr, kImdsEndpoint.address.data(), 4);
  io_uring_sqe* const request = ::io_uring_get_sqe(&ring);
  ::io_uring_prep_connect(request, fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof(in));
  ::io_uring_sqe_set_flags(request, request_flags);
  io_uring_cqe* done = nullptr;
  int failed = ::io_uring_submit(&ring) == 1 ? ::io_uring_wait_cqe(&ring, &done) : -EIO;
  failed = failed == 0 ? done->res : failed;
  ::io_uring_queue_exit(&ring);
  return -failed;
}

struct RingWay {
  const char* name;
  unsigned ring_flags;
  unsigned request_flags;
};

class ThroughRing : public IdentityFacts, public testing::WithParamInterface<RingWay> {};

TEST_P(ThroughRing, IsTheClientsOwnConnect) {
  const pid_t client =
      lab->spawn(kAlice, [] { return connect_through_ring(GetParam().ring_flags, GetParam().request_flags); });
  expect_client(client, kAlice, kImdsEndpoint);
  EXPECT_EQ(counters()->redirected, 1U);
}

// In the call itself, by a worker of the kernel, and by a kernel thread that looks at the ring.
INSTANTIATE_TEST_SUITE_P(Ways, ThroughRing,
                         testing::Values(RingWay{"InTheCall", 0, 0}, RingWay{"ByAWorker", 0, IOSQE_ASYNC},
                                         RingWay{"ByThePoller", IORING_SETUP_SQPOLL, 0}),
                         [](const auto& way) { return way.param.name; });

constexpr int kMptcp = 262;

/// From Linux 6.2 on; before that the call itself is refused, whatever it is to.
bool mptcp_opens_fast(Lab& lab) {
  const Ipv4Endpoint nobody{.address = {127, 0, 0, 1}, .port = 9};
  return wait_for(lab.spawn({}, [nobody] { return send_fast_open(kMptcp, nobody); })) != EOPNOTSUPP;
}

TEST_F(IdentityFacts, MultipathTcp) {
  const Fd probe(::socket(AF_INET, SOCK_STREAM, kMptcp));
  if (!probe) {
    // Where the kernel has none, no client can use it: nothing to show.
    ASSERT_TRUE(errno == EPROTONOSUPPORT || errno == ENOPROTOOPT) << std::strerror(errno);
    return;
  }
  pid_t client = lab->spawn(kAlice, [] {
    const Fd fd(::socket(AF_INET, SOCK_STREAM, kMptcp));
    return connect_socket(fd.get(), kImdsEndpoint);
  });
  expect_client(client, kAlice, kImdsEndpoint);
  if (!mptcp_opens_fast(*lab)) {
    return;
  }
  client = lab->spawn(kAlice, [] { return send_fast_open(kMptcp); });
  expect_client(client, kAlice, kImdsEndpoint);
}

TEST_F(IdentityFacts, ExecRightAfterConnect) {
  const pid_t client = lab->spawn(kAlice, [] {
    const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
    if (const int failed = connect_socket(fd.get(), kImdsEndpoint); failed != 0) {
      return failed;
    }
    ::execl("/bin/true", "true", nullptr);
    return errno;
  });
  EXPECT_EQ(wait_for(client), 0);
  auto identity = next_identity();
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->exe_path, own_path());
  EXPECT_EQ(identity->uid, 12001U);
}

TEST_F(IdentityFacts, SentAndGoneBeforeAccept) {
  const pid_t client = lab->spawn(kAlice, [] {
    Fd fd;
    const int failed = connect_to(kWireServerEndpoint, fd);
    return failed != 0 ? failed : (::send(fd.get(), "GET", 3, 0) == 3 ? 0 : errno);
  });
  EXPECT_EQ(wait_for(client), 0);
  auto identity = next_identity();
  ASSERT_TRUE(identity);
  EXPECT_TRUE(identity->known);
  EXPECT_EQ(identity->tgid, static_cast<std::uint32_t>(client));
  EXPECT_EQ(identity->uid, 12001U);
}

TEST_F(IdentityFacts, ResetBeforeAccept) {
  const pid_t client = lab->spawn(kAlice, [] {
    Fd fd;
    const int failed = connect_to(kImdsEndpoint, fd);
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    return failed;
  });
  EXPECT_EQ(wait_for(client), 0);
  auto identity = next_identity();
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->tgid, static_cast<std::uint32_t>(client));
}

TEST_F(IdentityFacts, MoreGroupsThanFitAreFlagged) {
  Who who{.uid = 12002, .gid = 13001, .groups = {}};
  for (gid_t gid = 20000; gid < 20032; ++gid) {
    who.groups.push_back(gid);
  }
  pid_t client = lab->spawn(who, [] {
    Fd fd;
    return connect_to(kImdsEndpoint, fd);
  });
  auto identity = next_identity();
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->groups.size(), 33U);
  EXPECT_FALSE(identity->more_groups);
  EXPECT_EQ(wait_for(client), 0);
  who.groups.push_back(20032);
  client = lab->spawn(who, [] {
    Fd fd;
    return connect_to(kImdsEndpoint, fd);
  });
  identity = next_identity();
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->groups.size(), 33U);
  EXPECT_TRUE(identity->more_groups);
  EXPECT_EQ(wait_for(client), 0);
}

TEST_F(IdentityFacts, RootOfAUserNamespaceIsNotElevated) {
  const pid_t client = lab->spawn(kAlice, [] {
    ::prctl(PR_SET_DUMPABLE, 1);  // changing the uid made /proc/self root's
    if (::unshare(CLONE_NEWUSER) != 0) {
      return errno;
    }
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 12001 1";
    if (::getuid() != 0) {
      return 200;
    }
    Fd fd;
    return connect_to(kWireServerEndpoint, fd);
  });
  EXPECT_EQ(wait_for(client), 0);
  auto identity = next_identity();
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->uid, 12001U);
  EXPECT_FALSE(identity->elevated);
  EXPECT_TRUE(identity->user_namespace);
}

TEST_F(IdentityFacts, ChrootDoesNotForgeThePath) {
  const pid_t client = lab->spawn({}, [this] {
    if (::chroot(lab->directory().c_str()) != 0) {
      return errno;
    }
    Fd fd;
    return connect_to(kImdsEndpoint, fd);
  });
  auto identity = next_identity();
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->exe_path, own_path());
  EXPECT_EQ(wait_for(client), 0);
}

/// Starts the client program from another place than its own.
class ClientProgram : public IdentityFacts {
 protected:
  Result<identity::ConnectionIdentity> identity_of(const std::function<int()>& exec) {
    const pid_t client = lab->spawn({}, exec);
    auto identity = next_identity();
    EXPECT_EQ(wait_for(client), 0);
    return identity;
  }
};

TEST_F(ClientProgram, ExecutableOfAMemfdHasNoPath) {
  auto identity = identity_of([] {
    const Fd program(::open(MSP_IDENTITY_CLIENT, O_RDONLY));
    const Fd copy(::memfd_create("curl", 0));
    while (::sendfile(copy.get(), program.get(), nullptr, 1 << 20) > 0) {
    }
    char name[] = "curl";
    char plain[] = "plain";
    char* const arguments[] = {name, plain, nullptr};
    char* const environment[] = {nullptr};
    ::fexecve(copy.get(), arguments, environment);
    return errno;
  });
  ASSERT_TRUE(identity) << identity.error().text();
  EXPECT_TRUE(identity->executable_deleted);
  EXPECT_EQ(identity->exe_path, "memfd:curl");
}

TEST_F(ClientProgram, UnlinkedExecutableIsFlagged) {
  const std::string copy = lab->directory() + "/client";
  std::filesystem::copy_file(MSP_IDENTITY_CLIENT, copy);
  auto identity = identity_of([&copy] {
    const Fd self(::open(copy.c_str(), O_RDONLY | O_CLOEXEC));
    ::unlink(copy.c_str());
    char name[] = "client";
    char plain[] = "plain";
    char* const arguments[] = {name, plain, nullptr};
    char* const environment[] = {nullptr};
    ::fexecve(self.get(), arguments, environment);
    return errno;
  });
  ASSERT_TRUE(identity) << identity.error().text();
  EXPECT_TRUE(identity->executable_deleted);
  EXPECT_EQ(identity->exe_path, copy);
}

TEST_F(ClientProgram, PathBelowAnotherMountIsWhole) {
  ASSERT_EQ(::mkdir((lab->directory() + "/t").c_str(), 0755), 0);
  const std::string mounted = lab->directory() + "/t";
  ASSERT_EQ(::mount("tmpfs", mounted.c_str(), "tmpfs", 0, nullptr), 0);
  std::filesystem::create_directories(mounted + "/a/b");
  std::filesystem::copy_file(MSP_IDENTITY_CLIENT, mounted + "/a/b/client");
  auto identity = identity_of([&mounted] {
    ::execl((mounted + "/a/b/client").c_str(), "client", "plain", nullptr);
    return errno;
  });
  ::umount2(mounted.c_str(), MNT_DETACH);
  ::rmdir(mounted.c_str());
  ASSERT_TRUE(identity) << identity.error().text();
  EXPECT_EQ(identity->exe_path, mounted + "/a/b/client");
}

TEST_F(ClientProgram, DeepPathKeepsItsLastPart) {
  std::string deep = lab->directory() + "/deep";
  for (int i = 0; i < 30; ++i) {
    deep += "/d" + std::to_string(i);
  }
  std::filesystem::create_directories(deep);
  std::filesystem::copy_file(MSP_IDENTITY_CLIENT, deep + "/client");
  auto identity = identity_of([&deep] {
    ::execl((deep + "/client").c_str(), "client", "plain", nullptr);
    return errno;
  });
  std::filesystem::remove_all(lab->directory() + "/deep");
  ASSERT_TRUE(identity) << identity.error().text();
  EXPECT_TRUE(identity->known);
  EXPECT_EQ(identity->process_name, "client");
  EXPECT_TRUE(identity->exe_path.starts_with(".../"));
  EXPECT_TRUE(identity->exe_path.ends_with("/d28/d29/client"));
}

TEST_F(IdentityFacts, DirectConnectIsRecordedAsSuch) {
  const pid_t client = lab->spawn(kAlice, [] {
    Fd fd;
    return connect_to(kListener, fd);
  });
  auto identity = next_identity();
  ASSERT_TRUE(identity);
  EXPECT_TRUE(identity->known);
  EXPECT_TRUE(identity->direct);
  EXPECT_EQ(identity->destination, kListener);
  EXPECT_EQ(identity->uid, 12001U);
  EXPECT_EQ(wait_for(client), 0);
  EXPECT_EQ(counters()->direct, 1U);
}

TEST_F(IdentityFacts, SelfTestPassesAndReturnsStrangers) {
  const pid_t client = lab->spawn(kAlice, [] {
    Fd fd;
    return connect_to(kImdsEndpoint, fd);
  });
  EXPECT_EQ(wait_for(client), 0);
  auto others = intercept::self_check(listener, kListener, source);
  ASSERT_TRUE(others) << others.error().text();
  ASSERT_EQ(others->size(), 1U);
  EXPECT_EQ(source.identify(others->front().get())->uid, 12001U);
}

}  // namespace
}  // namespace msp::lab
