// SPDX-License-Identifier: Apache-2.0
#include "base/stream.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace msp {

std::uint64_t Stream::acknowledged() const {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return ::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_acked : 0;
}

Stream::Stream(Loop& loop, Fd socket) : loop_(loop), socket_(std::move(socket)) {
  registered_ = loop_.add(socket_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this).ok();
}

Stream::~Stream() {
  assert(reader_ == nullptr && writer_ == nullptr);
  if (registered_) {
    loop_.forget(*this);  // closing the socket, next, takes it out of epoll
  }
}

void Stream::on_event(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    readable_ = true;
    peer_closed_ = peer_closed_ || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (reader_ != nullptr) {
      if (reader_->attempt()) {
        reader_->finish(reader_->result_.status);
      }
    } else if (idle_ != nullptr) {
      idle_->on_idle_event(*this);
      return;
    }
  }
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    writable_ = true;
    if (writer_ != nullptr && writer_->attempt()) {
      writer_->finish(writer_->result_.status);
    }
  }
}

void Stream::cancel() {
  cancelled_ = true;
  if (reader_ != nullptr) {
    reader_->finish(IoStatus::kCancelled);
  }
  if (writer_ != nullptr) {
    writer_->finish(IoStatus::kCancelled);
  }
}

void Stream::shutdown_write() { ::shutdown(socket_.get(), SHUT_WR); }

void Stream::reset_on_close() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

bool Stream::quiet() {
  if (peer_closed_ || cancelled_) {
    return false;
  }
  if (!readable_) {
    return true;
  }
  char byte = 0;
  const ssize_t n = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  // What arrives from now on is announced: who waits for it shall not be woken by what is not there.
  readable_ = n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  return !readable_;
}

Stream::Read Stream::read_some(std::span<char> buffer, Deadline deadline) { return {*this, buffer, deadline}; }
Stream::Read Stream::wait_readable(Deadline deadline) { return {*this, {}, deadline}; }
Stream::Read Stream::wait_answer(std::uint64_t ms) { return {*this, {}, loop_.after_ms(ms), ms}; }
Stream::Write Stream::write_all(std::initializer_list<std::string_view> pieces, Deadline deadline) {
  return {*this, pieces, deadline};
}
Stream::Write Stream::write_while_taken(std::initializer_list<std::string_view> pieces, std::uint64_t ms) {
  return {*this, pieces, loop_.after_ms(ms), ms};
}
Stream::Connect Stream::connect(const Ipv4Endpoint& to, Deadline deadline) { return {*this, to, deadline, false}; }
Stream::Connect Stream::connected(Deadline deadline) {
  // Nothing is known yet of a socket that has just been registered: what it is ready for will be announced.
  readable_ = false;
  writable_ = false;
  return {*this, {}, deadline, true};
}

Stream::Operation::~Operation() {
  if (stream_.*slot_ == this) {
    stream_.*slot_ = nullptr;
  }
}

bool Stream::Operation::await_ready() {
  if (stream_.cancelled_ || !stream_.registered_) {
    result_.status = IoStatus::kCancelled;
    return true;
  }
  return false;
}

void Stream::Operation::await_suspend(std::coroutine_handle<> handle) {
  assert(stream_.*slot_ == nullptr);
  handle_ = handle;
  stream_.*slot_ = this;
  begin();
}

/// Its stage has come; or it has been finished, before or after that.
void Stream::Operation::on_ready() {
  if (stream_.*slot_ == this) {
    finish_or_wait();
  } else {
    handle_.resume();
  }
}

void Stream::Operation::finish_or_wait() {
  if (attempt()) {
    finish(result_.status);
  } else {
    wait();
  }
}

void Stream::Operation::wait() {
  if (renewed_ms_ == 0) {
    stream_.loop_.arm(*this, deadline_);
    return;
  }
  acknowledged_ = stream_.acknowledged();
  look_later();
}

/// What the peer takes is not announced, so it is looked for eight times in its time, which is as much as it may be
/// given too long.
void Stream::Operation::look_later() {
  constexpr std::uint64_t kLooks = 8;
  const Deadline look = stream_.loop_.after_ms(std::max<std::uint64_t>(renewed_ms_ / kLooks, 1));
  stream_.loop_.arm(*this, std::min(look, deadline_));
}

/// The kernel says that there is room only when a third of its own queue is free, which may be a megabyte: a peer that
/// takes less in that time is slow, not silent. Nor is one that has not been given the whole question yet.
void Stream::Operation::on_timer() {
  const std::uint64_t taken = renewed_ms_ == 0 ? 0 : stream_.acknowledged();
  if (taken > acknowledged_) {
    acknowledged_ = taken;
    deadline_ = stream_.loop_.after_ms(renewed_ms_);
  } else if (renewed_ms_ == 0 || stream_.loop_.now() >= deadline_) {
    finish(IoStatus::kTimeout);
    return;
  }
  look_later();
}

void Stream::Operation::finish(IoStatus status) {
  result_.status = status;
  stream_.*slot_ = nullptr;
  stream_.loop_.schedule(*this);
}

bool Stream::Read::attempt() {
  if (!stream_.readable_) {
    return false;
  }
  if (buffer_.empty()) {
    return true;
  }
  ssize_t n = 0;
  do {
    n = ::recv(stream_.socket_.get(), buffer_.data(), buffer_.size(), 0);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      stream_.readable_ = false;
      return false;
    }
    result_ = {IoStatus::kError, 0, errno};
    return true;
  }
  // A short read has emptied the socket; only a closed peer is worth another try.
  stream_.readable_ = static_cast<std::size_t>(n) == buffer_.size() || stream_.peer_closed_;
  result_ = {n == 0 ? IoStatus::kEof : IoStatus::kOk, static_cast<std::size_t>(n), 0};
  return true;
}

void Stream::Read::begin() {
  if (stream_.readable_) {
    stream_.loop_.read_stage(*this);
  } else {
    wait();
  }
}

Stream::Write::Write(Stream& stream, std::initializer_list<std::string_view> pieces, Deadline deadline,
                     std::uint64_t renewed_ms)
    : Operation(stream, deadline, &Stream::writer_, renewed_ms) {
  assert(pieces.size() <= kMaxPieces);
  for (const std::string_view piece : pieces) {
    if (!piece.empty()) {
      pieces_[count_++] = {const_cast<char*>(piece.data()), piece.size()};
    }
  }
}

ssize_t Stream::Write::send_some() const {
  const iovec& next = pieces_[first_];
  if (count_ - first_ == 1) {
    return ::send(stream_.socket_.get(), next.iov_base, next.iov_len, MSG_NOSIGNAL);
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(&next);
  message.msg_iovlen = count_ - first_;
  return ::sendmsg(stream_.socket_.get(), &message, MSG_NOSIGNAL);
}

bool Stream::Write::attempt() {
  while (first_ < count_) {
    if (!stream_.writable_) {
      return false;
    }
    const ssize_t n = send_some();
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        stream_.writable_ = false;
        return false;
      }
      result_.status = IoStatus::kError;
      result_.code = errno;
      return true;
    }
    auto left = static_cast<std::size_t>(n);
    result_.bytes += left;
    while (first_ < count_ && left >= pieces_[first_].iov_len) {
      left -= pieces_[first_++].iov_len;
    }
    if (left > 0) {
      pieces_[first_].iov_base = static_cast<char*>(pieces_[first_].iov_base) + left;
      pieces_[first_].iov_len -= left;
    }
  }
  return true;
}

bool Stream::Connect::attempt() {
  if (!started_) {
    started_ = true;
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(to_.port);
    std::memcpy(&in.sin_addr, to_.address.data(), to_.address.size());
    stream_.readable_ = false;  // registered before it was connected: whatever arrives is announced
    if (::connect(stream_.socket_.get(), reinterpret_cast<const sockaddr*>(&in), sizeof(in)) == 0) {
      return true;
    }
    if (errno == EINPROGRESS) {
      stream_.writable_ = false;
      return false;
    }
    result_ = {IoStatus::kError, 0, errno};
    return true;
  }
  if (!stream_.writable_) {
    return false;
  }
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(stream_.socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    result_ = {IoStatus::kError, 0, error};
  }
  return true;
}

}  // namespace msp
