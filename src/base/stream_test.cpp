// SPDX-License-Identifier: Apache-2.0
#include "base/stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tests/support/raw_peer.h"

namespace msp {
namespace {

struct Pair {
  std::unique_ptr<Stream> ours;
  Fd peer;
};

Pair make_pair(Loop& loop, int peer_flags = SOCK_NONBLOCK) {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  Pair pair{nullptr, Fd(fds[1])};
  EXPECT_EQ(::fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
  EXPECT_EQ(::fcntl(fds[1], F_SETFL, peer_flags), 0);
  pair.ours = std::make_unique<Stream>(loop, Fd(fds[0]));
  EXPECT_TRUE(pair.ours->registered());
  return pair;
}

void run_until(Loop& loop, const std::function<bool()>& condition) {
  for (int turns = 0; turns < 10'000 && !condition(); ++turns) {
    loop.run_once(20);
  }
  EXPECT_TRUE(condition());
}

Task<> read_all(Stream& stream, std::string& out, IoStatus& end, std::uint64_t timeout_ms) {
  char buffer[7];
  for (;;) {
    auto got = co_await stream.read_some(buffer, stream.loop().after_ms(timeout_ms));
    if (!got.ok()) {
      end = got.status;
      co_return;
    }
    out.append(buffer, got.bytes);
  }
}

TEST(Stream, ReadsEverythingThenEndOfStream) {
  Loop loop;
  auto pair = make_pair(loop);
  std::string out;
  IoStatus end = IoStatus::kOk;
  auto task = read_all(*pair.ours, out, end, 5000);
  ASSERT_EQ(::write(pair.peer.get(), "hello, wide world", 17), 17);
  run_until(loop, [&] { return out.size() == 17; });
  ASSERT_EQ(::write(pair.peer.get(), "!", 1), 1);
  pair.peer.reset();
  run_until(loop, [&] { return task.done(); });
  EXPECT_EQ(out, "hello, wide world!");
  EXPECT_EQ(end, IoStatus::kEof);
}

TEST(Stream, DataAndCloseThatArriveTogetherAreBothSeen) {
  Loop loop;
  auto pair = make_pair(loop);
  std::string out;
  IoStatus end = IoStatus::kOk;
  auto task = read_all(*pair.ours, out, end, 5000);
  ASSERT_EQ(::write(pair.peer.get(), "abc", 3), 3);
  pair.peer.reset();
  run_until(loop, [&] { return task.done(); });
  EXPECT_EQ(out, "abc");
  EXPECT_EQ(end, IoStatus::kEof);
}

TEST(Stream, ReadTimesOut) {
  Loop loop;
  auto pair = make_pair(loop);
  std::string out;
  IoStatus end = IoStatus::kOk;
  auto task = read_all(*pair.ours, out, end, 30);
  run_until(loop, [&] { return task.done(); });
  EXPECT_EQ(end, IoStatus::kTimeout);
}

TEST(Stream, CancelEndsPendingAndLaterOperations) {
  Loop loop;
  auto pair = make_pair(loop);
  std::string out;
  IoStatus end = IoStatus::kOk;
  auto task = read_all(*pair.ours, out, end, 5000);
  loop.run_once(1);
  pair.ours->cancel();
  run_until(loop, [&] { return task.done(); });
  EXPECT_EQ(end, IoStatus::kCancelled);
  auto again = read_all(*pair.ours, out, end, 5000);
  EXPECT_TRUE(again.done());
}

Task<> write_text(Stream& stream, std::string_view text, IoResult& out) {
  auto done = co_await stream.write_all({text}, stream.loop().after_ms(5000));
  out = done;
}

/// What has come to the peer so far; "" if nothing has.
std::string arrived(const Fd& peer) {
  char buffer[64];
  const ssize_t n = ::read(peer.get(), buffer, sizeof(buffer));
  return {buffer, n > 0 ? static_cast<std::size_t>(n) : 0};
}

TEST(Stream, WritesOfATurnComeWhenNobodyIsReadyAnyMore) {
  Loop loop;
  auto first = make_pair(loop);
  auto second = make_pair(loop);
  auto asked = make_pair(loop);
  std::string seen_while_others_ran = "never ran";
  IoResult one;
  IoResult two;
  auto write_first = write_text(*first.ours, "one", one);
  // Reads in the same turn, runs on, and writes: only then does anything leave.
  auto read_then_write = [](Stream& from, Stream& to, const Fd& other, std::string& seen, IoResult& out) -> Task<> {
    char buffer[8];
    auto got = co_await from.read_some(buffer, from.loop().after_ms(5000));
    seen = got.ok() ? arrived(other) : "failed";
    auto done = co_await to.write_all({"two"}, to.loop().after_ms(5000));
    out = done;
  }(*asked.ours, *second.ours, first.peer, seen_while_others_ran, two);
  ASSERT_EQ(::write(asked.peer.get(), "go", 2), 2);
  EXPECT_EQ(arrived(first.peer), "");
  loop.run_once(0);
  EXPECT_EQ(seen_while_others_ran, "");
  EXPECT_EQ(arrived(first.peer), "one");
  EXPECT_EQ(arrived(second.peer), "two");
  EXPECT_TRUE(write_first.done() && read_then_write.done());
  EXPECT_TRUE(one.ok() && two.ok());
}

TEST(Stream, CancelBeforeTheStageOfWritesSendsNothing) {
  Loop loop;
  auto pair = make_pair(loop);
  IoResult result;
  auto task = write_text(*pair.ours, "never", result);
  EXPECT_FALSE(task.done());
  pair.ours->cancel();
  run_until(loop, [&] { return task.done(); });
  EXPECT_EQ(result.status, IoStatus::kCancelled);
  EXPECT_EQ(arrived(pair.peer), "");
}

TEST(Stream, ATaskThatEndsBeforeItsStageTakesItsOperationAlong) {
  Loop loop;
  auto pair = make_pair(loop);
  IoResult result;
  {
    auto task = write_text(*pair.ours, "never", result);
    EXPECT_FALSE(task.done());
  }
  loop.run_once(0);
  EXPECT_EQ(arrived(pair.peer), "");
}

TEST(Stream, WritesLargePiecesThroughASlowReader) {
  Loop loop;
  auto pair = make_pair(loop);
  const std::string big(3'000'000, 'x');
  IoResult result;
  auto task = [](Stream& stream, const std::string& body, IoResult& out) -> Task<> {
    auto done = co_await stream.write_all({"head|", body, "", "|tail"}, stream.loop().after_ms(20'000));
    out = done;
  }(*pair.ours, big, result);
  EXPECT_FALSE(task.done());
  std::string got;
  char buffer[65536];
  run_until(loop, [&] {
    const auto n = ::read(pair.peer.get(), buffer, sizeof(buffer));
    if (n > 0) {
      got.append(buffer, static_cast<std::size_t>(n));
    }
    return task.done();
  });
  for (ssize_t n = 0; (n = ::read(pair.peer.get(), buffer, sizeof(buffer))) > 0;) {
    got.append(buffer, static_cast<std::size_t>(n));
  }
  EXPECT_EQ(result.status, IoStatus::kOk);
  EXPECT_EQ(result.bytes, big.size() + 10);
  EXPECT_EQ(got, "head|" + big + "|tail");
}

TEST(Stream, WriteToAClosedPeerFailsWithoutASignal) {
  Loop loop;
  auto pair = make_pair(loop);
  pair.peer.reset();
  IoResult result;
  auto task = [](Stream& stream, IoResult& out) -> Task<> {
    auto done = co_await stream.write_all({"x"}, kNoDeadline);
    out = done;
  }(*pair.ours, result);
  run_until(loop, [&] { return task.done(); });
  EXPECT_EQ(result.status, IoStatus::kError);
  EXPECT_EQ(result.code, EPIPE);
}

TEST(Stream, ConnectsAndReportsRefusal) {
  Loop loop;
  auto listener = make_tcp_socket();
  ASSERT_TRUE(listener.ok());
  ASSERT_TRUE(bind_and_listen(*listener, {{127, 0, 0, 1}, 0}, 8).ok());
  auto at = local_endpoint(listener->get());
  ASSERT_TRUE(at.ok());
  const auto connect = [&loop](Ipv4Endpoint to, IoResult& out) -> Task<> {
    auto socket = make_tcp_socket();
    Stream stream(loop, std::move(*socket));
    auto done = co_await stream.connect(to, loop.after_ms(5000));
    out = done;
  };
  IoResult good;
  auto first = connect(*at, good);
  run_until(loop, [&] { return first.done(); });
  EXPECT_EQ(good.status, IoStatus::kOk);
  listener->reset();
  IoResult bad;
  auto second = connect(*at, bad);
  run_until(loop, [&] { return second.done(); });
  EXPECT_EQ(bad.status, IoStatus::kError);
  EXPECT_EQ(bad.code, ECONNREFUSED);
}

struct Watcher : Stream::IdleWatcher {
  int events = 0;
  void on_idle_event(Stream&) override { ++events; }
};

TEST(Stream, IdleWatcherHearsOfBytesAndCloseThatNobodyReads) {
  Loop loop;
  auto pair = make_pair(loop);
  std::string out;
  IoStatus end = IoStatus::kOk;
  auto task = read_all(*pair.ours, out, end, 20);
  run_until(loop, [&] { return task.done(); });
  EXPECT_TRUE(pair.ours->quiet());
  Watcher watcher;
  pair.ours->watch_idle(&watcher);
  pair.peer.reset();
  run_until(loop, [&] { return watcher.events > 0; });
  EXPECT_FALSE(pair.ours->quiet());
}

// A read that fills its buffer does not know whether it has emptied the socket; who waits afterwards must not wake up.
TEST(Stream, WhoHasSeenItQuietWaitsForWhatComes) {
  Loop loop;
  auto pair = make_pair(loop);
  ASSERT_EQ(::send(pair.peer.get(), "1234567", 7, 0), 7);
  char buffer[7];
  bool woken = false;
  const auto read_then_wait = [&]() -> Task<> {
    const IoResult read = co_await pair.ours->read_some(buffer, kNoDeadline);
    EXPECT_EQ(read.bytes, 7U);
    EXPECT_TRUE(pair.ours->quiet());
    const IoResult ready = co_await pair.ours->wait_readable(kNoDeadline);
    woken = ready.ok();
  };
  const auto task = read_then_wait();
  for (int turns = 0; turns < 5; ++turns) {
    loop.run_once(5);
  }
  EXPECT_FALSE(woken);
  ASSERT_EQ(::send(pair.peer.get(), "8", 1, 0), 1);
  run_until(loop, [&] { return woken; });
}

/// 8 MB on their way to a peer with the least room that the kernel gives; 200 ms for it to take anything.
class SlowWay {
 public:
  static constexpr std::uint64_t kTime = 200;

  SlowWay() {
    const auto listener = make_tcp_socket();
    const int least = 4096;
    EXPECT_EQ(::setsockopt(listener->get(), SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
    EXPECT_TRUE(bind_and_listen(*listener, {{127, 0, 0, 1}, 0}, 1).ok());
    auto ours = make_tcp_socket();
    EXPECT_TRUE(begin_connect(*ours, *local_endpoint(listener->get())).ok());
    EXPECT_TRUE(test::wait_for(listener->get(), POLLIN, 5000));
    peer_ = Fd(::accept4(listener->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    stream_ = std::make_unique<Stream>(loop, std::move(*ours));
    begin = loop.now();
    writing_.emplace(write());
  }
  bool done() const { return writing_ && writing_->done(); }
  /// False: there is nothing yet.
  bool peer_takes(std::size_t most) const {
    std::string buffer(most, '\0');
    return ::recv(peer_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0;
  }

  Loop loop;
  const std::string text = std::string(std::size_t{8} << 20, 'x');
  IoResult result;
  Deadline begin = 0;

 private:
  Task<> write() { result = co_await stream_->write_while_taken({text}, kTime); }

  Fd peer_;
  std::unique_ptr<Stream> stream_;
  std::optional<Task<>> writing_;
};

TEST(Stream, APeerThatTakesLittleInTheTimeOfAWriteIsSlowNotSilent) {
  SlowWay way;
  // The queue of our side has megabytes: what is taken here makes no room in it that the kernel would tell of.
  while (!way.done() && way.loop.now() < way.begin + 5 * SlowWay::kTime) {
    way.loop.run_once(20);
    way.peer_takes(8192);
  }
  ASSERT_FALSE(way.done()) << "after " << way.loop.now() - way.begin << " ms: " << way.result.bytes;
  run_until(way.loop, [&] { return way.done(); });  // it takes nothing any more
  EXPECT_EQ(way.result.status, IoStatus::kTimeout);
}

/// Whether `waiting` ends before half of its time has passed once more.
bool ends_in_time(Loop& loop, const Task<>& waiting, std::uint64_t time) {
  const auto sleep = [](Loop& on, Deadline until) -> Task<> { co_await on.sleep_until(until); };
  const Task<> ticking = sleep(loop, loop.after_ms(time + time / 2));
  run_until(loop, [&] { return waiting.done() || ticking.done(); });
  return waiting.done();
}

// The question is acknowledged after the wait for an answer has begun: that is no reason to begin it anew.
TEST(Stream, APeerThatSaysNothingIsGivenUpInTime) {
  constexpr std::uint64_t kTime = 400;
  Loop loop;
  const auto listener = make_tcp_socket();
  EXPECT_TRUE(bind_and_listen(*listener, {{127, 0, 0, 1}, 0}, 1).ok());
  auto socket = make_tcp_socket();
  EXPECT_TRUE(begin_connect(*socket, *local_endpoint(listener->get())).ok());
  EXPECT_TRUE(test::wait_for(listener->get(), POLLIN, 5000));
  const Fd peer(::accept4(listener->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  const int later = 0;
  EXPECT_EQ(::setsockopt(peer.get(), IPPROTO_TCP, TCP_QUICKACK, &later, sizeof(later)), 0);
  Stream stream(loop, std::move(*socket));
  IoResult sent;
  IoResult heard;
  const auto ask = [&]() -> Task<> {
    const IoResult connected = co_await stream.connected(kNoDeadline);
    EXPECT_TRUE(connected.ok());
    sent = co_await stream.write_all({"question"}, kNoDeadline);
    heard = co_await stream.wait_answer(kTime);
  };
  const Task<> asking = ask();
  EXPECT_TRUE(ends_in_time(loop, asking, kTime));
  run_until(loop, [&] { return asking.done(); });
  EXPECT_TRUE(sent.ok());
  EXPECT_EQ(heard.status, IoStatus::kTimeout);
}

TEST(Stream, AWriteThatIsTakenSlowlyComesToItsEnd) {
  SlowWay way;
  while (!way.done()) {
    way.loop.run_once(20);
    const int most = way.loop.now() < way.begin + 3 * SlowWay::kTime ? 1 : 1000;
    for (int i = 0; i < most && way.peer_takes(std::size_t{64} << 10); ++i) {
    }
  }
  EXPECT_TRUE(way.result.ok());
  EXPECT_EQ(way.result.bytes, way.text.size());
}

}  // namespace
}  // namespace msp
