// SPDX-License-Identifier: Apache-2.0
// The worker's code, taken over by somebody who uses its link against the monitor; tests/netns/test_worker.py starts it
// in the place of msp-worker. The file "mode" beside it says how, one word; without it, it is a good worker.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "link/message.h"
#include "worker/worker.h"

namespace {

constexpr int kLink = 3;
using msp::link::encode;

/// As link::Connection sends what fits a packet.
bool send(std::string_view packet, int descriptor = -1) {
  std::string bytes = "h" + std::string(packet);
  iovec piece{.iov_base = bytes.data(), .iov_len = bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
  }
  while (::sendmsg(kLink, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EAGAIN) {
      return false;
    }
    ::usleep(100);
  }
  return true;
}

/// The same again, until the monitor has had enough of it.
void flood(const msp::link::ToMonitor& message) {
  for (std::uint64_t number = 0; send(encode(message, number)); ++number) {
  }
}

void misbehave(std::string_view mode) {
  if (mode == "undecodable") {
    (void)send("nonsense");
  } else if (mode == "descriptor") {
    (void)send(encode(msp::link::ToMonitor(msp::link::Pong{}), 1), kLink);
  } else if (mode == "packet") {
    (void)send(std::string(40'000, 'x'));
  } else if (mode == "stuck") {
    for (;;) {
      ::usleep(100'000);
    }
  } else if (mode == "lines") {
    flood(msp::link::Line{.level = msp::log::Level::kBug,
                          .text = "forged\n" + std::string(20'000, 'y'),
                          .fields = {{.name = "MSP_EVENT", .value = "ready"}}});
  } else if (mode == "errors") {
    const std::string line(60'000, 'z');
    while (::write(STDERR_FILENO, line.data(), line.size()) >= 0 || errno == EAGAIN) {
    }
  } else if (mode == "wishes") {
    flood(msp::link::WantPlace{.cgroup = 1, .ticket = 1});
  } else if (mode == "dials") {
    flood(msp::link::Dial{.dial = 1, .service = msp::Service::kImds});
  }
}

}  // namespace

int main() {
  std::string mode;
  std::ifstream(std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mode") >> mode;
  return msp::worker::run([mode] { misbehave(mode); });
}
