// SPDX-License-Identifier: Apache-2.0
#include "agent/provision_query.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/loop.h"
#include "base/stream.h"
#include "http/buffer.h"
#include "http/client.h"

namespace msp::agent {
namespace {

constexpr std::uint64_t kPauseMs = 100;
// An agent that accepts and does not answer must not cost more than that of the wait.
constexpr std::uint64_t kTryMs = 5'000;
constexpr std::uint64_t kMostBody = 65'536;

Error unusable(std::string what) {
  return Error{.source = Source::kUpstream, .message = std::move(what), .hint = {}, .code = 0};
}

Result<ProvisionState> read_answer(const http::ClientResponse& response) {
  if (response.status != 200) {
    return unusable(fmt::format("the agent answered {}", response.status));
  }
  const auto document = json::parse(response.body);
  const json::Value* finished = document.ok() ? document->find("finished") : nullptr;
  const json::Value* message = document.ok() ? document->find("errorMessage") : nullptr;
  if (finished == nullptr || finished->boolean() == nullptr || message == nullptr || !message->is_string()) {
    return unusable("the answer is not that of an agent");
  }
  return ProvisionState{*finished->boolean(), *message->string()};
}

Task<Result<ProvisionState>> ask(Loop& loop, http::BufferPool& buffers, const ProvisionQuery& query, bool notify,
                                 Deadline deadline) {
  auto socket = make_tcp_socket();
  if (!socket) {
    co_return std::move(socket).error();
  }
  Stream stream(loop, std::move(*socket));
  if (!stream.registered()) {
    co_return bug("the socket cannot be watched");
  }
  const IoResult connected = co_await stream.connect(query.agent, deadline);
  const std::string where = to_string(query.agent);
  if (!connected.ok()) {
    const bool late = connected.status == IoStatus::kTimeout;
    co_return errno_error(fmt::format("cannot connect to {}", where), late ? ETIMEDOUT : connected.code);
  }
  const std::string tick = std::to_string(query.tick_ns);
  std::vector<http::Header> headers{{"host", where}, {"metadata", "true"}, {"x-ms-azure-time-tick", tick}};
  if (notify) {
    headers.push_back({"x-ms-azure-notify", "true"});
  }
  const http::ClientRequest request{.method = "GET", .target = "/provision", .headers = headers, .body = {}};
  auto answer = co_await http::exchange(stream, buffers, request, deadline, {.max_body = kMostBody});
  if (!answer.ok()) {
    co_return std::move(answer).error();
  }
  co_return read_answer(*answer);
}

// The notify is for an agent that runs: it goes with the first request that is answered, and with none after that.
Task<> ask_until_over(Loop& loop, http::BufferPool& buffers, const ProvisionQuery& query,
                      const std::function<void(const Error&)>& failed, ProvisionState& out, bool& done) {
  const Deadline until = query.began_ms + std::uint64_t{1000} * query.wait.value_or(0);
  for (bool notify = true;;) {
    const Deadline deadline =
        query.wait ? std::max(loop.after_ms(kPauseMs), std::min(until, loop.after_ms(kTryMs))) : loop.after_ms(kTryMs);
    auto state = co_await ask(loop, buffers, query, notify, deadline);
    if (!state.ok()) {
      failed(state.error());
    } else {
      notify = false;
      if (state->finished) {
        out = std::move(*state);
        break;
      }
    }
    if (!query.wait || loop.now() >= until) {
      break;
    }
    co_await loop.sleep_until(loop.after_ms(kPauseMs));
  }
  done = true;
  loop.stop();
}

}  // namespace

ProvisionState query_provision(const ProvisionQuery& query, const std::function<void(const Error&)>& failed) {
  Loop loop;
  if (auto ready = loop.ready(); !ready) {
    failed(ready.error());
    return {};
  }
  http::BufferPool buffers;
  ProvisionState out;
  bool done = false;
  const auto task = ask_until_over(loop, buffers, query, failed, out, done);
  if (!done) {
    loop.run();
  }
  return out;
}

int exit_code(const ProvisionState& state) {
  if (!state.finished) {
    return 1;
  }
  return state.error_message.empty() ? 0 : 2;
}

}  // namespace msp::agent
