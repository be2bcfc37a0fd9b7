// SPDX-License-Identifier: Apache-2.0
// What strangers may not do, what the agent itself may, and what nobody notices.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
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

class Guard : public BpfTest {
 protected:
  /// A marked listener on a guarded address: what is reached when nothing is redirected.
  Fd open_origin(const Ipv4Endpoint& at) {
    auto origin = interceptor->open_listener(at, 64);
    EXPECT_TRUE(origin) << origin.error().text();
    return origin ? std::move(*origin) : Fd();
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

/// errno of a datagram to `to`: of connect(), or of sending without.
int send_datagram(const Ipv4Endpoint& to, bool connected, bool mapped) {
  const Fd fd(::socket(mapped ? AF_INET6 : AF_INET, SOCK_DGRAM, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(to.port);
  std::memcpy(&in.sin_addr, to.address.data(), to.address.size());
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = in.sin_port;
  in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(in6.sin6_addr.s6_addr + 12, &in.sin_addr, sizeof(in.sin_addr));
  const auto* address = mapped ? reinterpret_cast<const sockaddr*>(&in6) : reinterpret_cast<const sockaddr*>(&in);
  const socklen_t size = mapped ? sizeof(in6) : sizeof(in);
  if (connected && ::connect(fd.get(), address, size) != 0) {
    return errno;
  }
  return ::sendto(fd.get(), "x", 1, 0, connected ? nullptr : address, connected ? 0 : size) == 1 ? 0 : errno;
}

TEST_F(Guard, DatagramsToAGuardedDestinationAreRefused) {
  const auto receiver = [](const Ipv4Endpoint& at) {
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(at.port);
    std::memcpy(&in.sin_addr, at.address.data(), at.address.size());
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof(in)), 0);
    return fd;
  };
  const auto arrived = [](const Fd& fd) {
    int count = 0;
    for (char byte = 0; ::recv(fd.get(), &byte, 1, 0) == 1;) {
      ++count;
    }
    return count;
  };
  // All four ways, by an ordinary user and by root.
  const auto send_all = [&](const Ipv4Endpoint& to, int expected) {
    for (const Who& who : {Who{}, kMallory}) {
      for (const int way : {0, 1, 2, 3}) {
        const auto send = [&] { return send_datagram(to, (way & 1) != 0, (way & 2) != 0); };
        EXPECT_EQ(wait_for(lab->spawn(who, send)), expected) << to_string(to) << " way " << way;
      }
    }
  };
  const Fd guarded = receiver(kImdsEndpoint);
  send_all(kImdsEndpoint, EPERM);
  EXPECT_EQ(arrived(guarded), 0);
  EXPECT_EQ(counters()->refused_datagram, 8U);
  // Address and port decide: DNS goes on, and the listener's port is no service of datagrams.
  for (const Ipv4Endpoint& other : {Ipv4Endpoint{kWireServerEndpoint.address, 53}, kListener}) {
    const Fd open = receiver(other);
    send_all(other, 0);
    EXPECT_EQ(arrived(open), 8);
  }
  ASSERT_TRUE(interceptor->set_settings(Lab::settings(false)));
  send_all(kImdsEndpoint, 0);
  EXPECT_EQ(arrived(guarded), 8);
  EXPECT_EQ(counters()->refused_datagram, 8U);
}

}  // namespace
}  // namespace msp::lab
