// SPDX-License-Identifier: Apache-2.0
// many_channels HOST:PORT FIRST_ADDRESS COUNT DIRECTORY INTERVAL_MS
// The agent's own channel code, COUNT times in one process: each with a source address (FIRST_ADDRESS and those that
// follow it) and a directory of its own, so that a host takes them for as many machines. Until a signal ends it.
// One JSON line on standard output whenever the key in use of one of them changes, the key included: for tests only.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "channel/channel.h"

namespace msp {
namespace {

struct Arguments {
  Ipv4Endpoint host;
  Ipv4Endpoint first;  ///< its port is 0: any
  std::size_t count = 0;
  std::string directory;
  std::uint64_t interval_ms = 0;
};

Ipv4Endpoint following(Ipv4Endpoint first, std::size_t steps) {
  std::uint32_t number = 0;
  std::memcpy(&number, first.address.data(), sizeof(number));
  number = htonl(ntohl(number) + static_cast<std::uint32_t>(steps));
  std::memcpy(first.address.data(), &number, sizeof(number));
  return first;
}

Result<Fd> socket_from(const Ipv4Endpoint& source) {
  auto made = make_tcp_socket();
  if (!made) {
    return made;
  }
  // The port is chosen when it connects: there may be as many connections as there are ports for each address.
  const int late = 1;
  sockaddr_in at{};
  at.sin_family = AF_INET;
  std::memcpy(&at.sin_addr, source.address.data(), sizeof(at.sin_addr));
  if (::setsockopt(made->get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late)) != 0 ||
      ::bind(made->get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0) {
    return errno_error("bind to " + address_text(source), errno);
  }
  return made;
}

class OneOfMany {
 public:
  OneOfMany(Loop& loop, http::BufferPool& buffers, const Clock& clock, const Arguments& arguments, std::size_t number)
      : number_(number),
        channel_(
            loop, buffers, clock,
            [source = following(arguments.first, number)](const Ipv4Endpoint&) { return socket_from(source); },
            {.host = arguments.host,
             .key_directory = fmt::format("{}/{}/keys", arguments.directory, number),
             .state_directory = fmt::format("{}/{}", arguments.directory, number),
             .interval_ms = arguments.interval_ms},
            [this](const std::shared_ptr<const channel::ChannelState>& state) { say(*state); }) {}

  Result<void> start() { return channel_.start(); }

 private:
  void say(const channel::ChannelState& state) {
    const std::string guid = state.key ? state.key->guid : std::string();
    if (guid == guid_) {
      return;
    }
    guid_ = guid;
    const Secret hex = state.key ? state.key->bytes.to_hex() : Secret();
    fmt::print("{{\"vm\":{},\"guid\":\"{}\",\"key\":\"{}\"}}\n", number_, guid, hex.reveal());
    std::fflush(stdout);
  }

  std::size_t number_;
  std::string guid_;
  channel::Channel channel_;
};

int run(const Arguments& arguments) {
  log::set_level(log::Level::kError);
  Loop loop;
  http::BufferPool buffers;
  const SystemClock clock;
  std::vector<std::unique_ptr<OneOfMany>> all;
  for (std::size_t i = 0; i < arguments.count; ++i) {
    ::mkdir(fmt::format("{}/{}", arguments.directory, i).c_str(), S_IRWXU);
    all.push_back(std::make_unique<OneOfMany>(loop, buffers, clock, arguments, i));
    if (auto started = all.back()->start(); !started) {
      log::write(started.error());
      return 1;
    }
  }
  loop.run();
  return 0;
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  return std::from_chars(text.data(), text.data() + text.size(), out).ec == std::errc{};
}

bool read(std::span<char*> words, Arguments& out) {
  if (words.size() != 6) {
    return false;
  }
  const auto host = parse_endpoint(words[1]);
  const auto first = parse_endpoint(std::string(words[2]) + ":0");
  if (!host || !first) {
    return false;
  }
  out.host = *host;
  out.first = *first;
  out.directory = words[4];
  return read_number(words[3], out.count) && read_number(words[5], out.interval_ms);
}

}  // namespace
}  // namespace msp

int main(int argc, char** argv) {
  msp::Arguments arguments;
  if (!msp::read({argv, static_cast<std::size_t>(argc)}, arguments)) {
    std::fputs("usage: many_channels HOST:PORT FIRST_ADDRESS COUNT DIRECTORY INTERVAL_MS\n", stderr);
    return 2;
  }
  return msp::run(arguments);
}
