// SPDX-License-Identifier: Apache-2.0
#include "link/connection.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/secret.h"

namespace msp::link {
namespace {

// In one turn: the loop has others to serve.
constexpr int kPacketsPerTurn = 64;

// In front of each packet.
enum class Where : char { kHere = 'h', kInFile = 'f' };

/// Bytes that fit in no packet, as a file that can change no more.
Result<Fd> as_file(std::string_view bytes) {
  Fd file(::memfd_create("msp-link", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) {
    return errno_error("cannot pass a message to the worker");
  }
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::write(file.get(), bytes.data() + at, bytes.size() - at);
    if (n <= 0) {
      return errno_error("cannot pass a message to the worker");
    }
    at += static_cast<std::size_t>(n);
  }
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return errno_error("cannot seal a message to the worker");
  }
  return file;
}

std::optional<std::string> from_file(const Fd& file, std::string_view size_text) {
  std::uint64_t size = 0;
  if (size_text.size() != sizeof size) {
    return std::nullopt;
  }
  std::memcpy(&size, size_text.data(), sizeof size);
  if (size > Connection::kMaxFile) {
    return std::nullopt;
  }
  std::string out(size, '\0');
  for (std::size_t at = 0; at < size;) {
    const ssize_t n = ::pread(file.get(), out.data() + at, size - at, static_cast<off_t>(at));
    if (n <= 0) {
      return std::nullopt;
    }
    at += static_cast<std::size_t>(n);
  }
  return out;
}

std::vector<Fd> descriptors_in(msghdr& message) {
  std::vector<Fd> out;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      out.emplace_back(fd);
    }
  }
  return out;
}

}  // namespace

Result<std::pair<Fd, Fd>> Connection::make_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return errno_error("socketpair");
  }
  return std::pair(Fd(ends[0]), Fd(ends[1]));
}

Connection::Connection(Loop& loop, Fd socket, Peer peer, Events events)
    : socket_(std::move(socket)),
      peer_(peer),
      events_(std::move(events)),
      watch_(loop, socket_.get(), [this](std::uint32_t what) { on_event(what); }),
      buffer_(kMaxPacket + 1) {}

Connection::~Connection() {
  for (Waiting& one : waiting_) {
    wipe(one.packet);
  }
}

bool Connection::send(std::string packet, std::vector<Fd> descriptors) {
  const bool too_much =
      waiting_.size() >= kMaxWaiting || (!waiting_.empty() && waiting_bytes_ + packet.size() > kMaxWaitingBytes);
  if (gone_ || too_much || descriptors.size() >= kMaxDescriptors) {
    wipe(packet);
    return false;
  }
  Waiting one;
  one.weight = packet.size();
  if (packet.size() <= kMaxPacket) {
    one.packet.reserve(packet.size() + 1);
    one.packet += static_cast<char>(Where::kHere);
    one.packet += packet;
  } else if (auto file = as_file(packet); file && packet.size() <= kMaxFile) {
    const std::uint64_t size = packet.size();
    one.packet += static_cast<char>(Where::kInFile);
    one.packet.append(reinterpret_cast<const char*>(&size), sizeof size);
    descriptors.push_back(*std::move(file));
  } else {
    wipe(packet);
    return false;
  }
  wipe(packet);
  one.descriptors = std::move(descriptors);
  waiting_bytes_ += one.weight;
  waiting_.push_back(std::move(one));
  if (waiting_.size() == 1) {
    flush();
  }
  follow_waiting();
  return !gone_;
}

Connection::Sent Connection::send_now(const Waiting& one) {
  iovec piece{.iov_base = const_cast<char*>(one.packet.data()), .iov_len = one.packet.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  if (!one.descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(one.descriptors.size() * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(one.descriptors.size() * sizeof(int));
    for (std::size_t i = 0; i < one.descriptors.size(); ++i) {
      const int fd = one.descriptors[i].get();
      std::memcpy(CMSG_DATA(part) + i * sizeof(int), &fd, sizeof fd);
    }
  }
  while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) {
      continue;
    }
    // Descriptors on their way are bounded, too: there is room again when the other end has read.
    return errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS ? Sent::kFull : Sent::kNo;
  }
  return Sent::kYes;
}

void Connection::flush() {
  while (!gone_ && !waiting_.empty()) {
    const Sent sent = send_now(waiting_.front());
    if (sent == Sent::kFull) {
      break;
    }
    if (sent == Sent::kNo) {
      lose(errno_error("the other process cannot be told anything"));
      return;
    }
    wipe(waiting_.front().packet);
    waiting_bytes_ -= waiting_.front().weight;
    waiting_.pop_front();
  }
}

void Connection::follow_waiting() {
  const std::uint32_t wanted = (waiting_.empty() ? 0U : EPOLLOUT) | (heard() ? EPOLLIN : 0U);
  if (!gone_ && wanted != watched_) {
    watched_ = wanted;
    watch_.stop();
    (void)watch_.start(wanted);
  }
}

void Connection::on_event(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    flush();
    follow_waiting();
  }
  if ((events & ~std::uint32_t{EPOLLOUT}) != 0) {
    const bool over = (events & (EPOLLHUP | EPOLLERR)) != 0;
    for (int i = 0; i < kPacketsPerTurn && (over || heard()) && receive(); ++i) {
    }
  }
}

bool Connection::receive() {
  if (gone_) {
    return false;
  }
  iovec piece{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) {
      lose(errno_error("the other process is gone"));
    }
    return errno == EINTR && !gone_;
  }
  std::vector<Fd> descriptors = descriptors_in(message);
  if (n == 0) {
    lose(Error{.source = Source::kKernel, .message = "the other process is gone", .hint = {}, .code = 0});
    return false;
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    lose(bug("a packet of the other process is too long, or its descriptors are too many"));
    return false;
  }
  deliver({buffer_.data(), static_cast<std::size_t>(n)}, std::move(descriptors));
  ::explicit_bzero(buffer_.data(), static_cast<std::size_t>(n));
  return !gone_;
}

void Connection::deliver(std::string_view packet, std::vector<Fd> descriptors) {
  const auto where = static_cast<Where>(packet.front());
  packet.remove_prefix(1);
  if (where == Where::kHere) {
    events_.on_packet(packet, std::move(descriptors));
    return;
  }
  if (where == Where::kInFile && peer_ == Peer::kTrusted && !descriptors.empty()) {
    const Fd file = std::move(descriptors.back());
    descriptors.pop_back();
    if (auto whole = from_file(file, packet)) {
      events_.on_packet(*whole, std::move(descriptors));
      wipe(*whole);
      return;
    }
  }
  lose(bug("a packet of the other process is none"));
}

void Connection::lose(const Error& why) {
  if (!std::exchange(gone_, true)) {
    watch_.stop();
    events_.on_gone(why);
  }
}

}  // namespace msp::link
