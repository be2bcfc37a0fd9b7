// SPDX-License-Identifier: Apache-2.0
#include "identity/names.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <set>
#include <vector>

namespace msp::identity {
namespace {

/// Ids that were asked for beyond those enumerated; more than this many are forgotten together.
constexpr std::size_t kMaxAsked = 4096;
constexpr std::size_t kNameBuffer = 16384;

struct Wanted {
  std::uint32_t id;
  std::uint32_t group;  // 0 or 1
  auto operator<=>(const Wanted&) const = default;
};

void look_up(NameTable& table, const Wanted& wanted, std::vector<char>& buffer) {
  if (wanted.group != 0) {
    group entry{};
    group* found = nullptr;
    ::getgrgid_r(wanted.id, &entry, buffer.data(), buffer.size(), &found);
    table.add_group(wanted.id, found != nullptr ? found->gr_name : "");
    return;
  }
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(wanted.id, &entry, buffer.data(), buffer.size(), &found);
  table.add_user(wanted.id, found != nullptr ? found->pw_name : "");
}

bool known(const NameTable& table, const Wanted& wanted) {
  return wanted.group != 0 ? table.has_group(wanted.id) : table.has_user(wanted.id);
}

}  // namespace

NameTable enumerate_names() {
  NameTable table;
  ::setpwent();
  while (const passwd* entry = ::getpwent()) {  // NOLINT(concurrency-mt-unsafe): the resolver's thread alone
    table.add_user(entry->pw_uid, entry->pw_name);
  }
  ::endpwent();
  ::setgrent();
  while (const group* entry = ::getgrent()) {  // NOLINT(concurrency-mt-unsafe)
    table.add_group(entry->gr_gid, entry->gr_name);
  }
  ::endgrent();
  return table;
}

Result<std::unique_ptr<NameResolver>> NameResolver::start(std::uint32_t time_to_live_ms, Publish publish) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return errno_error("cannot make the name resolver's pipe");
  }
  return std::make_unique<NameResolver>(Fd(ends[0]), Fd(ends[1]), time_to_live_ms, std::move(publish));
}

NameResolver::NameResolver(Fd read_end, Fd write_end, std::uint32_t time_to_live_ms, Publish publish)
    : read_end_(std::move(read_end)),
      write_end_(std::move(write_end)),
      time_to_live_ms_(time_to_live_ms),
      publish_(std::move(publish)) {
  thread_ = std::thread([this] { run(); });
}

NameResolver::~NameResolver() {
  write_end_.reset();
  thread_.join();
}

void NameResolver::want_user(std::uint32_t uid) { want(uid, false); }
void NameResolver::want_group(std::uint32_t gid) { want(gid, true); }

void NameResolver::want(std::uint32_t id, bool group) {
  const Wanted wanted{.id = id, .group = group ? 1U : 0U};
  // A full pipe drops the wish: the next connection of that id asks again.
  [[maybe_unused]] const ssize_t sent = ::write(write_end_.get(), &wanted, sizeof(wanted));
}

void NameResolver::run() {
  using Clock = std::chrono::steady_clock;
  std::vector<char> buffer(kNameBuffer);
  std::set<Wanted> asked;
  NameTable table;
  bool first = true;
  for (auto refresh_at = Clock::now();;) {
    NameTable next = table;
    if (Clock::now() >= refresh_at) {
      next = enumerate_names();
      if (asked.size() > kMaxAsked) {
        asked.clear();
      }
      for (const Wanted& wanted : asked) {
        if (!known(next, wanted)) {
          look_up(next, wanted, buffer);
        }
      }
      refresh_at = Clock::now() + std::chrono::milliseconds(time_to_live_ms_);
    }
    std::array<Wanted, 256> batch{};
    const ssize_t got = ::read(read_end_.get(), batch.data(), sizeof(batch));
    if (got == 0) {
      return;
    }
    for (std::size_t i = 0; got > 0 && i < static_cast<std::size_t>(got) / sizeof(Wanted); ++i) {
      if (asked.size() <= kMaxAsked && !known(next, batch[i])) {
        look_up(next, batch[i], buffer);
        asked.insert(batch[i]);
      }
    }
    if (first || !(next == table)) {
      first = false;
      table = next;
      publish_(std::make_shared<const NameTable>(std::move(next)));
    }
    pollfd waiting{.fd = read_end_.get(), .events = POLLIN, .revents = 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(refresh_at - Clock::now()).count();
    ::poll(&waiting, 1, static_cast<int>(left > 0 ? left : 0));
  }
}

}  // namespace msp::identity
