// SPDX-License-Identifier: Apache-2.0
// A non-blocking stream socket on a Loop: reads and writes are tried in their stage of the loop's turn (base/loop.h),
// and wait for the descriptor only when they would block. Owned by one coroutine (at most one reader and one writer at
// a time) on the loop's thread. Every operation has a deadline; failures come back as IoStatus, never as exceptions or
// signals.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "base/fd.h"
#include "base/loop.h"
#include "base/net.h"

namespace msp {

enum class IoStatus : unsigned char { kOk, kEof, kTimeout, kCancelled, kError };

struct IoResult {
  IoStatus status = IoStatus::kOk;
  std::size_t bytes = 0;  ///< moved, also when the status is not kOk (write)
  int code = 0;           ///< errno for kError

  bool ok() const { return status == IoStatus::kOk; }
};

class Stream : public EventTarget {
 public:
  static constexpr std::size_t kMaxPieces = 4;

  /// Registers the socket (must be non-blocking); check registered() before use.
  Stream(Loop& loop, Fd socket);
  ~Stream() override;

  bool registered() const { return registered_; }
  int fd() const { return socket_.get(); }
  Loop& loop() { return loop_; }

  class Operation;
  class Read;
  class Write;
  class Connect;

  /// Up to buffer.size() bytes; kEof at the end of the stream.
  Read read_some(std::span<char> buffer, Deadline deadline);
  /// Waits without a buffer until a read would not block (or the peer has closed): idle connections hold none.
  Read wait_readable(Deadline deadline);
  /// The same with `ms` for the peer to say something, which begin when it has taken what was written: whenever it
  /// takes of that they begin anew. Known of TCP alone.
  Read wait_answer(std::uint64_t ms);
  /// All pieces in order (at most kMaxPieces), in as few system calls as possible.
  Write write_all(std::initializer_list<std::string_view> pieces, Deadline deadline);
  /// The same with `ms` for the peer to take anything at all: whenever it does the time begins anew. Taken is what its
  /// kernel acknowledges, in steps of up to half of its buffer. Known of TCP alone.
  Write write_while_taken(std::initializer_list<std::string_view> pieces, std::uint64_t ms);
  /// Non-blocking connect.
  Connect connect(const Ipv4Endpoint& to, Deadline deadline);
  /// The end of a connect that had begun before the stream was made.
  Connect connected(Deadline deadline);

  /// Ends pending operations with kCancelled and refuses later ones.
  void cancel();
  bool cancelled() const { return cancelled_; }
  /// Half-close: no more bytes will be written.
  void shutdown_write();
  /// The close will be a reset, and drop what is not sent yet: the peer shall not take what it got for all.
  void reset_on_close();
  /// For pooled streams: true if nothing has arrived and the peer has not closed.
  bool quiet();

  class IdleWatcher {
   public:
    virtual ~IdleWatcher() = default;
    /// Something arrived, or the peer closed, while nobody was reading. May destroy the stream.
    virtual void on_idle_event(Stream& stream) = 0;
  };
  void watch_idle(IdleWatcher* watcher) { idle_ = watcher; }

 private:
  void on_event(std::uint32_t events) override;
  /// Bytes that the peer's kernel has acknowledged so far; 0 of what is not TCP.
  std::uint64_t acknowledged() const;

  Loop& loop_;
  Fd socket_;
  Operation* reader_ = nullptr;
  Operation* writer_ = nullptr;
  IdleWatcher* idle_ = nullptr;
  bool registered_ = false;
  bool readable_ = true;
  bool peer_closed_ = false;  // RDHUP, HUP or ERR seen: a read never blocks again
  bool writable_ = true;
  bool cancelled_ = false;
};

/// One pending operation; lives in the frame of the coroutine that awaits it.
class Stream::Operation : public CoroutineWaiter {
 public:
  Operation(Stream& stream, Deadline deadline, Operation* Stream::* slot, std::uint64_t renewed_ms = 0)
      : stream_(stream), deadline_(deadline), slot_(slot), renewed_ms_(renewed_ms) {}
  ~Operation() override;

  bool await_ready();
  void await_suspend(std::coroutine_handle<> handle);
  IoResult await_resume() const { return result_; }

 protected:
  /// Has attempt() called, now or in a later stage of the turn.
  virtual void begin() = 0;
  /// Tries; true when done (result_ is set).
  virtual bool attempt() = 0;
  void finish_or_wait();
  void wait();
  void look_later();
  void on_timer() override;
  Stream& stream_;
  IoResult result_;
  Deadline deadline_;

 private:
  friend class Stream;
  void finish(IoStatus status);
  void on_ready() override;
  Operation* Stream::* slot_;
  std::uint64_t renewed_ms_;        // 0: the deadline is the last
  std::uint64_t acknowledged_ = 0;  // when that was last looked for
};

class Stream::Read final : public Stream::Operation {
 public:
  Read(Stream& stream, std::span<char> buffer, Deadline deadline, std::uint64_t renewed_ms = 0)
      : Operation(stream, deadline, &Stream::reader_, renewed_ms), buffer_(buffer) {}

 private:
  void begin() override;
  bool attempt() override;
  std::span<char> buffer_;  // empty: only wait
};

class Stream::Write final : public Stream::Operation {
 public:
  Write(Stream& stream, std::initializer_list<std::string_view> pieces, Deadline deadline,
        std::uint64_t renewed_ms = 0);

 private:
  void begin() override { stream_.loop_.write_stage(*this); }
  bool attempt() override;
  ssize_t send_some() const;
  std::array<iovec, kMaxPieces> pieces_{};
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

class Stream::Connect final : public Stream::Operation {
 public:
  Connect(Stream& stream, const Ipv4Endpoint& to, Deadline deadline, bool started)
      : Operation(stream, deadline, &Stream::writer_), to_(to), started_(started) {}

 private:
  void begin() override { finish_or_wait(); }
  bool attempt() override;
  Ipv4Endpoint to_;
  bool started_;
};

}  // namespace msp
