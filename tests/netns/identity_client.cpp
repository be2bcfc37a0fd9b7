// SPDX-License-Identifier: Apache-2.0
// A client of the identity tests: connects to IMDS, and at once does what makes it hard to tell who connected.
//   identity_client plain                         connect, exit
//   identity_client <way> <source port> <address> <port>   from 127.0.0.1:<source port>; ways:
//     exit   exit without a byte          send   send, then exit
//     exec   exec another program with the socket (its path in MSP_OTHER), which sends
//     hand   hand the socket to the process at the abstract address "msp-receiver", which sends
//   identity_client late <descriptor>             the program that `exec` becomes
// What is sent is MSP_REQUEST where that is set, else one byte.
// Uses the C library alone: it is started ten thousand times.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <charconv>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr char kReceiver[] = "msp-receiver";

/// `port` 0: the kernel chooses. Statuses 10 and up say what failed.
int connect_from(int fd, int port, const sockaddr_in& in) {
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_port = htons(static_cast<in_port_t>(port));
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (port != 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof(from)) != 0) {
    return 10;
  }
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&in), sizeof(in)) == 0 ? 0 : 11;
}

int send_all(int fd) {
  const char* text = std::getenv("MSP_REQUEST");  // NOLINT(concurrency-mt-unsafe): one thread
  text = text == nullptr ? "x" : text;
  const auto size = static_cast<ssize_t>(std::strlen(text));
  return ::send(fd, text, static_cast<std::size_t>(size), MSG_NOSIGNAL) == size ? 0 : 12;
}

int hand_on(int fd) {
  const int to = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path + 1, kReceiver, sizeof(kReceiver) - 1);
  char byte = 'x';
  iovec data{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
  message.msg_name = &un;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + sizeof(kReceiver));
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
  return ::sendmsg(to, &message, 0) == 1 ? 0 : 13;
}

int become_another(int fd) {
  const char* other = std::getenv("MSP_OTHER");  // NOLINT(concurrency-mt-unsafe): one thread
  char descriptor[16];
  std::snprintf(descriptor, sizeof(descriptor), "%d", fd);
  if (other != nullptr) {
    ::execl(other, other, "late", descriptor, nullptr);
  }
  return 14;
}

bool is(const char* a, const char* b) { return std::strcmp(a, b) == 0; }

int run(const char* way, int port, const sockaddr_in& to) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int failed = connect_from(fd, port, to);
  if (failed != 0 || is(way, "plain") || is(way, "exit")) {
    return failed;
  }
  if (is(way, "send")) {
    return send_all(fd);
  }
  return is(way, "hand") ? hand_on(fd) : become_another(fd);
}

/// 0 for anything but a plain decimal number.
int number(const char* text) {
  int value = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, failure] = std::from_chars(text, end, value);
  return failure == std::errc{} && stop == end ? value : 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 3 && is(arguments[1], "late")) {
    return send_all(number(arguments[2]));
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  if (count == 2 && is(arguments[1], "plain")) {
    to.sin_port = htons(80);
    ::inet_pton(AF_INET, "169.254.169.254", &to.sin_addr);
    return run("plain", 0, to);
  }
  if (count != 5 || ::inet_pton(AF_INET, arguments[3], &to.sin_addr) != 1) {
    return 2;
  }
  to.sin_port = htons(static_cast<in_port_t>(number(arguments[4])));
  return run(arguments[1], number(arguments[2]), to);
}
