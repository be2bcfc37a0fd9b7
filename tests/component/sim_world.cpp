// SPDX-License-Identifier: Apache-2.0
#include "tests/component/sim_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "protocol/key.h"

namespace msp::sim {
namespace {

using channel::Action;
using channel::Phase;

constexpr std::int64_t kStart = 1'745'409'600'000'000'000;
constexpr std::uint64_t kTimeoutMs = 10'000;
constexpr std::uint64_t kIntervalMs = 15'000;
// protocol.md C.5: a request that is under way when the faults end may run into its deadline; the pause after a failed
// poll is the interval and a fifth; then one round latches. docs/channel.md, "Times".
constexpr std::uint64_t kLongestMs = kTimeoutMs + kIntervalMs * 6 / 5 + 2'000;
constexpr std::uint64_t kMostSkipped = 15;  // polls that a refused agent lets pass, in the end
constexpr std::int64_t kDateWindow = 300;
constexpr std::int64_t kSecond = 1'000'000'000;

bool is_call(Action action) {
  return action == Action::kPoll || action == Action::kAcquire || action == Action::kAttest;
}

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

World::World(const std::string& directory, std::uint64_t seed)
    : random_(seed),
      guest_clock_(kStart, 60 * kSecond),
      host_clock_(kStart, 60 * kSecond),
      host_(directory + "/host", host_clock_),
      agent_(directory + "/guest", guest_clock_) {}

std::uint64_t World::between(std::uint64_t least, std::uint64_t most) {
  return std::uniform_int_distribution<std::uint64_t>(least, most)(random_);
}

void World::at(std::uint64_t in_ms, std::string what, bool network, std::function<void()> happen) {
  queue_.emplace(now_ms_ + in_ms, Item{std::move(what), network, std::move(happen)});
}

bool World::next() {
  auto first = queue_.begin();
  if (first == queue_.end()) {
    fail("nothing will ever happen again");
    return false;
  }
  guest_clock_.advance_ms(first->first - now_ms_);
  host_clock_.advance_ms(first->first - now_ms_);
  now_ms_ = first->first;
  const Item item = std::move(first->second);
  queue_.erase(first);
  last_.push_back(fmt::format("{:>12} ms  {:<24} agent {}, {}", now_ms_, item.what, to_string(agent_.machine().phase),
                              to_string(agent_.action())));
  if (last_.size() > 60) {
    last_.pop_front();
  }
  item.happen();
  ++tally_.events;
  look();
  return !failed_ && !testing::Test::HasFailure();
}

// --- the agent's work -----------------------------------------------------------------------------------------------

void World::go_on() {
  const std::uint64_t call = ++call_;
  if (is_call(agent_.action())) {
    call_host();
  } else if (agent_.action() == Action::kWait) {
    const double jitter = std::uniform_real_distribution<double>(-1, 1)(random_);
    at(agent_.pause_ms(jitter), "pause over", false, [this, call] {
      if (call == call_) {
        agent_.wait_over(false);
        go_on();
      }
    });
  } else {
    at(1, "disk", false, [this, call] {
      if (call == call_) {
        agent_.use_disk(fault(0.1));
        go_on();
      }
    });
  }
}

void World::call_host() {
  const std::uint64_t call = call_;
  const Action kind = agent_.action();
  const auto silence = [this, call] {
    if (call == call_) {
      agent_.hear_nothing();
      go_on();
    }
  };
  if (fault(0.05)) {
    at(1, "connection refused", false, silence);
    return;
  }
  const test::RequestText text = agent_.request();
  send(text, call, kind);
  if (fault(0.05)) {
    send(text, call, kind);
  }
  at(kTimeoutMs, "deadline", false, silence);
}

void World::send(const test::RequestText& text, std::uint64_t call, Action kind) {
  if (fault(0.08)) {
    return;
  }
  const std::uint64_t delay = fault(0.15) ? between(100, 3 * kTimeoutMs) : between(1, 5);
  at(delay, fmt::format("request: {}", to_string(kind)), true, [this, text, call, kind] { arrive(text, call, kind); });
}

// Of an agent whose host has not signed yet, whoever answers is believed (SECURITY.md): that is left out.
std::optional<Reply> World::answer_falsely(const test::RequestText& text, Action kind) {
  if (now_ms_ >= false_until_ms_ || !agent_.demands_signed_status() || !fault(0.5)) {
    return std::nullopt;
  }
  ++tally_.happened[fmt::format("false answer: {}", to_string(kind))];
  if (kind == Action::kAttest) {
    return Reply{.status = 200, .body = "{}", .date = {}};
  }
  if (kind == Action::kPoll) {
    return false_host_.status(text, agent_.machine().key_guid, test::date_text(host_clock_.realtime_ns() / kSecond));
  }
  const Reply real = host_.handle(Service::kWireServer, text);
  const auto key = protocol::parse_key_document(real.body, Source::kHost);
  false_host_.read(real);
  if (real.status == 200 && key.ok() && chance(0.3)) {
    return real;  // he has read it, and that may be all he wants
  }
  return false_host_.give_key(key.ok() && chance(0.5) ? key->guid : std::string(), host_.incarnation());
}

void World::arrive(const test::RequestText& text, std::uint64_t call, Action kind) {
  if (auto false_reply = answer_falsely(text, kind)) {
    at(between(1, 5), "false answer", true, [this, reply = std::move(*false_reply), call, kind]() mutable {
      const bool was_open = agent_.open();
      answer(std::move(reply), call, kind);
      if (!was_open && agent_.open()) {
        fail("somebody who is not the host has opened the agent");
      }
    });
    return;
  }
  Reply reply = host_.handle(Service::kWireServer, text);
  look_at_latch(true);
  if (fault(0.02)) {
    host_.restart();  // killed with the answer in its hands
    return;
  }
  if (fault(0.03)) {
    reply = {.status = chance(0.5) ? 503 : 404, .body = "<html>", .date = {}};
  } else if (fault(0.02)) {
    reply.body = reply.body.substr(0, reply.body.size() / 2);
  }
  // Old answers to status and key requests may come again. One that says "disabled" would open an agent whose host has
  // not signed its status yet, as the protocol has it (SECURITY.md), so that is left out.
  auto& old = old_answers_[kind];
  if (kind != Action::kAttest && reply.status == 200) {
    old.push_back(reply);
  }
  if (kind != Action::kAttest && !old.empty() && fault(0.03)) {
    const Reply& again = old[between(0, old.size() - 1)];
    const bool opens = again.body.find(R"("secureChannelEnabled":false)") != std::string::npos;
    if (!opens || agent_.demands_signed_status()) {
      tally_.happened[opens ? "old answer: disabled" : "old answer"] += 1;
      const bool with_its_date = chance(0.5);
      reply = again;
      if (!with_its_date) {
        reply.date = test::date_text(host_clock_.realtime_ns() / kSecond);
      }
    }
  }
  if (fault(0.08)) {
    return;
  }
  const std::uint64_t delay = fault(0.1) ? between(100, 2 * kTimeoutMs) : between(1, 5);
  at(delay, fmt::format("answer: {}", to_string(kind)), true,
     [this, reply = std::move(reply), call, kind]() mutable { answer(std::move(reply), call, kind); });
}

void World::answer(Reply reply, std::uint64_t call, Action kind) {
  if (call != call_ || agent_.action() != kind) {
    return;  // that connection is closed
  }
  agent_.hear(reply);
  go_on();
}

// --- what happens to them -------------------------------------------------------------------------------------------

void World::mischief() {
  static const std::vector<std::string> kinds{"agent restarts",  "agent restarts",
                                              "host restarts",   "host restarts",
                                              "notify",          "key lost",
                                              "key damaged",     "backup made",
                                              "backup restored", "guest clock steps",
                                              "machine sleeps",  "host clock steps",
                                              "thief asks",      "thief asks",
                                              "thief attests",   "incarnation raised",
                                              "key rotated",     "false host",
                                              "false host",      "disabled",
                                              "enabled",         "enabled"};
  happen(kinds[between(0, kinds.size() - 1)]);
}

void World::happen(const std::string& what) {
  ++tally_.happened[what];
  last_.push_back(fmt::format("{:>12} ms  * {}", now_ms_, what));
  if (what == "agent restarts") {
    restart_agent();
  } else if (what == "host restarts") {
    host_.restart();
  } else if (what == "notify" && agent_.action() == Action::kWait) {
    agent_.wait_over(true);
    go_on();
  } else if (what == "key lost") {
    std::filesystem::remove_all(agent_.key_directory());
    std::filesystem::create_directory(agent_.key_directory());
    std::filesystem::permissions(agent_.key_directory(), std::filesystem::perms::owner_all);
  } else if (what == "key damaged") {
    damage_key_file();
  } else if (what == "backup made") {
    backup_.clear();
    for (const auto& entry : std::filesystem::directory_iterator(agent_.key_directory())) {
      backup_[entry.path().filename()] = read_all(entry.path());
    }
  } else if (what == "backup restored") {
    restore_backup();
  } else if (what == "guest clock steps") {
    const auto by = static_cast<std::int64_t>(between(0, 20 * 31'536'000ULL)) * kSecond;
    guest_clock_.step_realtime_ns(guest_clock_.realtime_ns() > kStart + by ? -by : by);
  } else if (what == "host clock steps") {
    host_clock_.step_realtime_ns((static_cast<std::int64_t>(between(0, 7'200)) - 3'600) * kSecond);
  } else if (what == "machine sleeps") {
    // Both clocks run on (CLOCK_BOOTTIME), the deadlines are over when it wakes up.
    const std::uint64_t ms = between(1'000, 86'400'000);
    guest_clock_.advance_ms(ms);
    host_clock_.advance_ms(ms);
  } else if (what == "thief asks") {
    thief_asks();
  } else if (what == "thief attests") {
    thief_attests();
  } else if (what == "incarnation raised") {
    host_.raise_incarnation();
  } else if (what == "key rotated") {
    host_.rotate();
  } else if (what == "false host") {
    false_until_ms_ = now_ms_ + between(1'000, 60'000);
    happen(chance(0.5) ? "key rotated" : "incarnation raised");
  } else if (what == "disabled" || what == "enabled") {
    host_.enable(what == "enabled");
  }
  look_at_latch(false);
}

void World::restart_agent() {
  agent_.start();
  go_on();
}

void World::thief_asks() {
  test::RequestText text{.method = "POST",
                         .target = std::string(protocol::kKeyPath),
                         .headers = {},
                         .body = R"({"authorizationScheme": "Azure-HMAC-SHA256"})"};
  const Reply reply = host_.handle(Service::kWireServer, test::from_agent(text, host_clock_.realtime_ns() / kSecond));
  if (auto key = protocol::parse_key_document(reply.body, Source::kHost); reply.status == 200 && key.ok()) {
    stolen_.emplace_back(key->guid, std::string(key->key()->reveal()));
  }
}

void World::thief_attests() {
  if (stolen_.empty()) {
    return;
  }
  const auto& [guid, key] = stolen_[between(stolen_.size() > 3 ? stolen_.size() - 3 : 0, stolen_.size() - 1)];
  test::RequestText text{.method = "POST", .target = protocol::attestation_path(guid), .headers = {}, .body = {}};
  text = test::signed_with(test::from_agent(text, host_clock_.realtime_ns() / kSecond), key, guid);
  host_.handle(Service::kWireServer, text);
}

void World::damage_key_file() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(agent_.key_directory())) {
    files.push_back(entry.path());
  }
  if (!files.empty()) {
    const auto& path = files[between(0, files.size() - 1)];
    std::filesystem::resize_file(path, between(0, std::filesystem::file_size(path)));
  }
}

void World::restore_backup() {
  happen("key lost");
  for (const auto& [name, content] : backup_) {
    const std::string path = agent_.key_directory() + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    std::filesystem::permissions(path, std::filesystem::perms(0600));
  }
  restart_agent();
}

// The faults end, and what the network still holds is gone. The operator has been told what is stuck for good.
void World::calm() {
  ++tally_.calms;
  faults_ = false;
  false_until_ms_ = 0;
  last_.push_back(fmt::format("{:>12} ms  * calm", now_ms_));
  std::erase_if(queue_, [](const auto& entry) { return entry.second.network; });
  if (!host_.enabled()) {
    host_.enable(true);
  }
  bool announced = false;
  const auto unstick = [&] {
    const std::string latched = host_.latched();
    if (!latched.empty() && !agent_.can_load(latched) && agent_.machine().key_guid != latched) {
      host_.raise_incarnation();
      ++tally_.resets;
      announced = true;
    }
    look_at_latch(false);
  };
  unstick();
  const std::uint64_t began = now_ms_;
  const std::uint64_t backing_off =
      announced ? 0 : std::min<std::uint64_t>(agent_.machine().skip_acquire, kMostSkipped) * kIntervalMs;
  const auto in_order = [&] {
    return agent_.machine().phase == Phase::kLatched && !host_.latched().empty() &&
           agent_.machine().key_guid == host_.latched();
  };
  while (!in_order()) {
    if (now_ms_ - began > kLongestMs + backing_off) {
      return fail(fmt::format("not latched {} ms after the last fault", now_ms_ - began));
    }
    if (!next()) {
      return;
    }
  }
  auto& slowest = backing_off == 0 ? tally_.slowest_ms : tally_.slowest_after_backoff_ms;
  slowest = std::max(slowest, now_ms_ - began);
  for (int i = 0; i < 10; ++i) {
    if (!next()) {
      return;
    }
    if (!in_order()) {
      return fail("latched, and then no more, without a fault");
    }
  }
  faults_ = true;
}

void World::run(std::uint64_t events) {
  go_on();
  while (tally_.events < events) {
    const std::uint64_t until = now_ms_ + between(1'000, 40'000);
    while (!queue_.empty() && queue_.begin()->first <= until) {
      if (!next()) {
        return;
      }
    }
    mischief();
    look();
    ++tally_.events;
    if (failed_ || testing::Test::HasFailure()) {
      return;
    }
    if (chance(0.05)) {
      calm();
      if (failed_) {
        return;
      }
    }
  }
  calm();
}

void World::live_with_rotations(std::uint64_t days) {
  go_on();
  calm();
  faults_ = false;
  for (std::uint64_t day = 0; day < days && !failed_; ++day) {
    const std::string before = host_.latched();
    happen("key rotated");
    const std::uint64_t until = now_ms_ + between(20'000, 60'000);
    while (!failed_ && !queue_.empty() && queue_.begin()->first <= until) {
      // A request between any two events: look() finds it served, whatever the key.
      if (!next()) {
        return;
      }
      if (!agent_.forward({.method = "GET", .target = "/metadata/versions", .headers = {}, .body = {}}) ||
          agent_.machine().key_guid.empty()) {
        return fail("a request was refused during a rotation");
      }
      const std::string& key = agent_.machine().key_guid;
      if (key != host_.latched() && key != host_.outgoing()) {
        return fail("the agent signs with a key that the host does not take");
      }
    }
    if (host_.latched().empty() || host_.latched() == before || agent_.machine().key_guid != host_.latched()) {
      return fail("a rotation did not end with another key");
    }
    // The rest of the day passes.
    constexpr std::uint64_t kDayMs = 86'400'000;
    guest_clock_.advance_ms(kDayMs);
    host_clock_.advance_ms(kDayMs);
    most_key_files_ = std::max<std::uint64_t>(
        most_key_files_, std::distance(std::filesystem::directory_iterator(agent_.key_directory()), {}));
  }
}

// --- what must hold -------------------------------------------------------------------------------------------------

void World::look_at_latch(bool by_agent) {
  const std::string latched = host_.latched();
  if (latched == latched_) {
    return;
  }
  if (latched.empty()) {
    if (latches_.contains(host_.incarnation())) {
      fail("the host forgot a latched key");
    }
  } else {
    ++tally_.latches;
    if (++latches_[host_.incarnation()] > 1) {
      fail("two latches in one incarnation");
    }
    if (by_agent && std::ranges::any_of(stolen_, [&](const auto& stolen) { return stolen.first == latched; })) {
      fail("the thief has the key that the agent latched");
    }
  }
  latched_ = latched;
}

void World::look() {
  agent_was_latched_ = agent_was_latched_ || agent_.machine().phase == Phase::kLatched;
  if (agent_.open() && agent_.told_enabled() != std::optional(false) &&
      (agent_.told_enabled().has_value() || agent_was_latched_)) {
    fail("the agent forwards unsigned what it was told to sign");
  }
  if (!host_.enabled()) {
    return;
  }
  const test::RequestText asked{.method = "GET",
                                .target = "/metadata/instance?api-version=2021-02-01",
                                .headers = {{"metadata", "true"}},
                                .body = {}};
  if (host_.handle(Service::kImds, test::from_agent(asked, host_clock_.realtime_ns() / kSecond)).status == 200) {
    fail("the enforced host serves what is not signed");
  }
  if (const auto forwarded = agent_.forward(asked); forwarded.has_value()) {
    const auto off = agent_.now_seconds() - host_clock_.realtime_ns() / kSecond;
    const std::string& key = agent_.machine().key_guid;
    const bool taken = !key.empty() && (key == host_.latched() || key == host_.outgoing());
    const bool good = taken && std::abs(off) < kDateWindow - 2;
    const bool maybe = taken && std::abs(off) < kDateWindow + 2;
    const bool served = host_.handle(Service::kImds, *forwarded).status == 200;
    if ((good && !served) || (served && !maybe)) {
      fail(fmt::format("a request with key '{}' was {}", key, served ? "served" : "refused"));
    }
  }
}

void World::fail(const std::string& what) {
  failed_ = true;
  std::string trace;
  for (const std::string& line : last_) {
    trace += line + "\n";
  }
  ADD_FAILURE() << what << "; the last events:\n" << trace;
}

}  // namespace msp::sim
