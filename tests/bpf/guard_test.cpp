// SPDX-License-Identifier: Apache-2.0
// What strangers may not do, what the agent itself may, and what nobody notices.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "bpf/contract.h"
#include "tests/bpf/lab.h"

namespace msp::lab {
namespace {

const Who kMallory{.uid = 12666, .gid = 12666, .groups = {}};

class Guard : public BpfTest {
 protected:
  /// A marked listener on a guarded address: what is reached when nothing is redirected.
  Fd open_origin(const Ipv4Endpoint& at) {
    auto origin = interceptor->open_listener(at, 64);
    EXPECT_TRUE(origin) << origin.error().text();
    return origin ? std::move(*origin) : Fd();
  }
  /// errno of a client's connect.
  int connect_as(const Who& who, const Ipv4Endpoint& to) {
    return wait_for(lab->spawn(who, [&to] {
      Fd fd;
      return connect_to(to, fd);
    }));
  }
};

/// Runs iproute2's ip in this process's network namespace; its exit status.
int ip(std::vector<std::string> words) {
  const pid_t child = ::fork();
  if (child == 0) {
    words.insert(words.begin(), "ip");
    std::vector<char*> arguments;
    for (std::string& word : words) {
      arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    ::execv("/usr/sbin/ip", arguments.data());
    ::execv("/sbin/ip", arguments.data());
    ::_exit(127);
  }
  int status = -1;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int bind4(int type, std::array<std::uint8_t, 4> address, std::uint16_t port) {
  const Fd fd(::socket(AF_INET, type, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  std::memcpy(&in.sin_addr, address.data(), address.size());
  return ::bind(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof(in)) == 0 ? 0 : errno;
}

int bind6(const in6_addr& address, std::uint16_t port) {
  const Fd fd(::socket(AF_INET6, SOCK_STREAM, 0));
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port);
  in6.sin6_addr = address;
  return ::bind(fd.get(), reinterpret_cast<sockaddr*>(&in6), sizeof(in6)) == 0 ? 0 : errno;
}

TEST_F(Guard, NobodyElseBindsTheListenersPort) {
  listener.reset();
  in6_addr mapped{};
  mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
  in6_addr mapped_loopback = mapped;
  mapped_loopback.s6_addr[12] = 127;
  mapped_loopback.s6_addr[15] = 1;
  const auto refused = [&](const std::function<int()>& f) { return wait_for(lab->spawn({}, f)); };
  EXPECT_EQ(refused([] { return bind4(SOCK_STREAM, {127, 0, 0, 1}, 3080); }), EPERM);
  EXPECT_EQ(refused([] { return bind4(SOCK_STREAM, {0, 0, 0, 0}, 3080); }), EPERM);
  EXPECT_EQ(refused([] { return bind6(in6addr_any, 3080); }), EPERM);
  EXPECT_EQ(refused([&] { return bind6(mapped, 3080); }), EPERM);
  EXPECT_EQ(refused([&] { return bind6(mapped_loopback, 3080); }), EPERM);
  EXPECT_EQ(counters()->bind_refused, 5U);
  // What cannot stand in for the listener is nobody's business.
  EXPECT_EQ(refused([] { return bind4(SOCK_STREAM, {127, 0, 0, 1}, 3079); }), 0);
  EXPECT_EQ(refused([] { return bind4(SOCK_STREAM, {127, 0, 0, 2}, 3080); }), 0);
  EXPECT_EQ(refused([] { return bind4(SOCK_DGRAM, {127, 0, 0, 1}, 3080); }), 0);
  EXPECT_EQ(refused([] { return bind6(in6addr_loopback, 3080); }), 0);
  // The same bind passes with the mark.
  EXPECT_TRUE(interceptor->open_listener(kListener, 16));
}

TEST_F(Guard, SquatterGetsNothing) {
  listener.reset();
  ASSERT_TRUE(set_sysctl("net/ipv4/ip_local_port_range", "3080 3080"));
  const pid_t squatter = lab->spawn(kMallory, [] {
    const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
    if (::listen(fd.get(), 16) != 0) {  // no bind: the kernel gives the only port there is
      return errno;
    }
    sockaddr_in in{};
    socklen_t size = sizeof(in);
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&in), &size);
    if (ntohs(in.sin_port) != 3080) {
      return 201;
    }
    pollfd waiting{.fd = fd.get(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, 1500) == 0 ? 0 : 202;
  });
  ::usleep(300000);
  ASSERT_TRUE(set_sysctl("net/ipv4/ip_local_port_range", "32768 60999"));
  EXPECT_EQ(connect_as({}, kImdsEndpoint), EPERM);
  EXPECT_EQ(connect_as({}, kListener), EPERM);
  EXPECT_EQ(wait_for(squatter), 0);
  EXPECT_EQ(counters()->refused_squatter, 2U);
  auto ours = interceptor->open_listener(kListener, 16);
  ASSERT_TRUE(ours) << ours.error().text();
  EXPECT_EQ(connect_as({}, kImdsEndpoint), 0);
}

TEST_F(Guard, ClientsBoundToADeviceOrItsAddressDoNotHang) {
  ASSERT_EQ(ip({"link", "add", "msp0", "type", "veth", "peer", "name", "msp1"}), 0);
  ASSERT_EQ(ip({"addr", "add", "10.99.0.1/24", "dev", "msp0"}), 0);
  ASSERT_EQ(ip({"link", "set", "msp0", "up"}), 0);
  ASSERT_EQ(ip({"link", "set", "msp1", "up"}), 0);
  const auto bound = [] {
    const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "msp0", 5) != 0) {
      return 206;
    }
    const timeval soon{.tv_sec = 2, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
    return connect_socket(fd.get(), kImdsEndpoint);
  };
  EXPECT_EQ(wait_for(lab->spawn({}, bound)), 0);
  EXPECT_EQ(next_identity()->uid, 0U);
  // The kernel lets nobody without CAP_NET_RAW off a device: refused at once, not left hanging.
  EXPECT_EQ(wait_for(lab->spawn(kMallory, bound)), EPERM);
  EXPECT_EQ(counters()->refused_device, 1U);
  const int from = wait_for(lab->spawn(kMallory, [] {
    const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(0x0a630001);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof(in)) != 0) {
      return 207;
    }
    return connect_socket(fd.get(), kImdsEndpoint);
  }));
  EXPECT_EQ(from, 0);
  auto accepted = accept_one(listener);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(address_text(*peer_endpoint(accepted->get())), "10.99.0.1");
  EXPECT_EQ(source.identify(accepted->get())->uid, 12666U);
}

TEST_F(Guard, NobodyListeningIsRefusedByTheClosedPort) {
  listener.reset();
  EXPECT_EQ(connect_as({}, kImdsEndpoint), ECONNREFUSED);
}

TEST_F(Guard, OwnSocketsAreNotRedirected) {
  const Fd origin = open_origin(kImdsEndpoint);
  const Fd own(::socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_TRUE(interceptor->mark_own(own.get()));
  EXPECT_EQ(connect_socket(own.get(), kImdsEndpoint), 0);
  EXPECT_TRUE(accept_one(origin));
  // The mark belongs to the socket, not to the process.
  const Fd unmarked(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(connect_socket(unmarked.get(), kImdsEndpoint), 0);
  auto identity = next_identity();
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->tgid, static_cast<std::uint32_t>(::getpid()));
}

TEST_F(Guard, GateIsOpenWhereRedirectIsOff) {
  ASSERT_TRUE(interceptor->set_settings(Lab::settings(false)));
  const Fd origin = open_origin(kImdsEndpoint);
  EXPECT_EQ(connect_as(kMallory, kImdsEndpoint), 0);
  EXPECT_TRUE(accept_one(origin));
  ASSERT_TRUE(interceptor->set_settings(Lab::settings(true)));
  EXPECT_EQ(connect_as(kMallory, kImdsEndpoint), 0);
  EXPECT_EQ(next_identity()->uid, 12666U);
  EXPECT_EQ(counters()->redirected, 1U);
}

TEST_F(Guard, UnguardedConnectLeavesNothingAndClearsWhatWasLeft) {
  ASSERT_TRUE(set_sysctl("net/ipv4/tcp_fastopen", "1543"));
  const Fd origin = open_origin(kUnguarded);
  const Fd connecting(::bpf_obj_get(lab->pin("maps/connecting").c_str()));
  ASSERT_TRUE(connecting);
  msp_record record{};
  const auto left = [&](const Fd& fd) {
    const int key = fd.get();
    return ::bpf_map_lookup_elem(connecting.get(), &key, &record) == 0;
  };
  const Fd plain(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(connect_socket(plain.get(), kUnguarded), 0);
  EXPECT_FALSE(left(plain));
  // A deferred SYN keeps the record with the socket; then the socket is turned elsewhere.
  const Fd turned(::socket(AF_INET, SOCK_STREAM, 0));
  const int one = 1;
  ASSERT_EQ(::setsockopt(turned.get(), IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)), 0);
  EXPECT_EQ(connect_socket(turned.get(), kImdsEndpoint), 0);
  EXPECT_TRUE(left(turned));
  sockaddr none{};
  none.sa_family = AF_UNSPEC;
  ASSERT_EQ(::connect(turned.get(), &none, sizeof(none)), 0);
  EXPECT_EQ(connect_socket(turned.get(), kUnguarded), 0);
  EXPECT_FALSE(left(turned));
}

TEST_F(Guard, RecordLeavesTheClientsSocketWithTheSyn) {
  const Fd connecting(::bpf_obj_get(lab->pin("maps/connecting").c_str()));
  Fd client;
  ASSERT_EQ(connect_to(kImdsEndpoint, client), 0);
  msp_record record{};
  const int key = client.get();
  EXPECT_NE(::bpf_map_lookup_elem(connecting.get(), &key, &record), 0);
  // Nor can the client's own socket be asked.
  auto identity = source.identify(client.get());
  ASSERT_TRUE(identity);
  EXPECT_FALSE(identity->known);
}

TEST_F(Guard, OtherOptionsKeepTheirAnswers) {
  Fd client;
  ASSERT_EQ(connect_to(kImdsEndpoint, client), 0);
  auto accepted = accept_one(listener);
  ASSERT_TRUE(accepted);
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(::getsockopt(accepted->get(), SOL_SOCKET, SO_TYPE, &value, &size), 0);
  EXPECT_EQ(value, SOCK_STREAM);
  std::vector<std::uint8_t> large(65536);
  size = static_cast<socklen_t>(large.size());
  EXPECT_EQ(::getsockopt(accepted->get(), IPPROTO_TCP, TCP_INFO, large.data(), &size), 0);
  EXPECT_GE(size, 104U);
  EXPECT_LE(size, 4096U);
  // Too small a buffer gets no part of a record.
  msp_record record{};
  size = sizeof(record) - 1;
  EXPECT_NE(::getsockopt(accepted->get(), MSP_SOL, MSP_SO_RECORD, &record, &size), 0);
}

TEST_F(Guard, UsedUpOptionMemoryRefusesTheConnect) {
  // Where the limit belongs to the namespace it is raised by default; elsewhere this is the kernel's own value.
  static_cast<void>(set_sysctl("net/core/optmem_max", "20480").ok());
  // Some kernels let only root attach a filter; what counts is the memory.
  const int status = wait_for(lab->spawn({}, [] {
    const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
    // A filter is charged to the socket's option memory: as many instructions as still fit are found by halving.
    std::size_t fits = 0;
    for (std::size_t step = 2048; step > 0; step /= 2) {
      std::vector<sock_filter> code(fits + step, BPF_STMT(BPF_LD | BPF_IMM, 0));
      code.back() = BPF_STMT(BPF_RET | BPF_K, 0xffffffffU);
      const int none = 0;
      ::setsockopt(fd.get(), SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
      const sock_fprog filter{.len = static_cast<unsigned short>(code.size()), .filter = code.data()};
      if (::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0) {
        fits += step;
      }
    }
    if (fits == 0 || fits >= 4095) {
      return 203;  // the limit was not reached
    }
    std::vector<sock_filter> code(fits, BPF_STMT(BPF_LD | BPF_IMM, 0));
    code.back() = BPF_STMT(BPF_RET | BPF_K, 0xffffffffU);
    const sock_fprog filter{.len = static_cast<unsigned short>(fits), .filter = code.data()};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
    return connect_socket(fd.get(), kImdsEndpoint);
  }));
  EXPECT_EQ(status, EPERM);
  EXPECT_EQ(counters()->refused_storage, 1U);
}

/// Connections that a listener with a full queue leaves half way.
class InFlight : public Guard {
 protected:
  void SetUp() override {
    Guard::SetUp();
    // Half-open requests then wait at the client's end, not as cookies.
    ASSERT_TRUE(set_sysctl("net/ipv4/tcp_syncookies", "0"));
    map_ = Fd(::bpf_obj_get(lab->pin("maps/in_flight").c_str()));
    ASSERT_TRUE(map_);
  }
  int in_flight() const {
    int count = 0;
    std::array<std::uint8_t, 24> key{};
    std::array<std::uint8_t, 24> next{};
    for (const void* at = nullptr; ::bpf_map_get_next_key(map_.get(), at, next.data()) == 0; at = key.data()) {
      key = next;
      ++count;
    }
    return count;
  }
  Fd full_listener(const Ipv4Endpoint& at, std::vector<Fd>& fillers) {
    auto out = interceptor->open_listener(at, 0);
    EXPECT_TRUE(out) << out.error().text();
    for (int i = 0; i < 2; ++i) {
      Fd& filler = fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      connect_socket(filler.get(), at);
      ::usleep(20000);
    }
    return std::move(*out);
  }

 private:
  Fd map_;
};

int bound_connect(int fd, std::uint16_t port, const Ipv4Endpoint& to) {
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&in), sizeof(in)) != 0) {
    return errno;
  }
  return connect_socket(fd, to);
}

TEST_F(InFlight, TwoListenersAndClientsOnTheSamePort) {
  listener.reset();
  std::vector<Fd> fillers;
  auto settings = Lab::settings();
  settings.listeners.push_back(kListener2);
  settings.guarded[1].listener = 1;
  ASSERT_TRUE(interceptor->set_settings(settings));
  const Fd first = full_listener(kListener, fillers);
  const Fd second = full_listener(kListener2, fillers);
  // Both are on their way at once, from the same address and port.
  const auto client = [&](uid_t uid, const Ipv4Endpoint& to) {
    return lab->spawn({.uid = uid, .gid = uid, .groups = {}}, [to] {
      const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
      const int failed = bound_connect(fd.get(), 40000, to);
      return failed;
    });
  };
  const int before = in_flight();
  const pid_t alice = client(12001, kImdsEndpoint);
  const pid_t bob = client(12002, kWireServerEndpoint);
  ::usleep(200000);
  EXPECT_EQ(in_flight() - before, 2);
  const auto find = [&](const Fd& from, uid_t uid, pid_t pid, const Ipv4Endpoint& to) {
    for (int i = 0; i < 4; ++i) {
      auto accepted = accept_one(from);
      ASSERT_TRUE(accepted) << accepted.error().text();
      auto peer = peer_endpoint(accepted->get());
      auto identity = source.identify(accepted->get());
      ASSERT_TRUE(peer && identity);
      ASSERT_TRUE(identity->known);
      if (peer->port == 40000) {
        EXPECT_EQ(identity->uid, uid);
        EXPECT_EQ(identity->tgid, static_cast<std::uint32_t>(pid));
        EXPECT_EQ(identity->destination, to);
        return;
      }
    }
    ADD_FAILURE() << "the client did not arrive";
  };
  find(first, 12001, alice, kImdsEndpoint);
  find(second, 12002, bob, kWireServerEndpoint);
  EXPECT_EQ(wait_for(alice), 0);
  EXPECT_EQ(wait_for(bob), 0);
  fillers.clear();
}

TEST_F(InFlight, WhatNeverGotThroughIsTidied) {
  listener.reset();
  std::vector<Fd> fillers;
  const Fd full = full_listener(kListener, fillers);
  const int before = in_flight();
  {
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    EXPECT_EQ(connect_socket(client.get(), kImdsEndpoint), EINPROGRESS);
    EXPECT_EQ(in_flight(), before + 1);
  }
  EXPECT_EQ(in_flight(), before);
  EXPECT_EQ(counters()->record_lost, 0U);
}

TEST_F(InFlight, FloodOfOneUserIsRefusedAndStarvesNobody) {
  listener.reset();
  std::vector<Fd> fillers;
  const Fd full = full_listener(kListener, fillers);
  const pid_t flood = lab->spawn(kMallory, [] {
    const rlimit enough{.rlim_cur = 4096, .rlim_max = 4096};
    ::setrlimit(RLIMIT_NOFILE, &enough);
    std::vector<Fd> sockets;
    for (unsigned i = 0; i <= MSP_MAX_IN_FLIGHT_PER_UID; ++i) {
      Fd& fd = sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      const int failed = connect_socket(fd.get(), kImdsEndpoint);
      if (failed != EINPROGRESS) {
        ::sleep(2);
        return failed == EPERM && i == MSP_MAX_IN_FLIGHT_PER_UID ? 0 : 204;
      }
    }
    return 205;
  });
  for (int i = 0; i < 200 && counters()->refused_flood == 0; ++i) {
    ::usleep(10000);
  }
  EXPECT_EQ(counters()->refused_flood, 1U);
  const int before = in_flight();
  const Fd other(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  EXPECT_EQ(connect_socket(other.get(), kImdsEndpoint), EINPROGRESS);
  EXPECT_EQ(in_flight(), before + 1);
  EXPECT_EQ(wait_for(flood), 0);
  // All of it is given back: the same user may come again.
  ::usleep(100000);
  EXPECT_EQ(in_flight(), before - static_cast<int>(MSP_MAX_IN_FLIGHT_PER_UID) + 1);
  const Fd counts(::bpf_obj_get(lab->pin("maps/in_flight_of_uid").c_str()));
  std::int64_t left = 0;
  EXPECT_NE(::bpf_map_lookup_elem(counts.get(), &kMallory.uid, &left), 0) << left;
  EXPECT_EQ(counters()->record_lost, 0U);
}

}  // namespace
}  // namespace msp::lab
