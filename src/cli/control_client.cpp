// SPDX-License-Identifier: Apache-2.0
#include "cli/control_client.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <array>
#include <optional>

#include "base/json.h"
#include "base/loop.h"
#include "base/stream.h"
#include "base/unix_socket.h"
#include "http/buffer.h"
#include "http/client.h"

namespace msp::cli {
namespace {

constexpr std::uint64_t kTimeoutMs = 5'000;
constexpr std::uint64_t kMostBody = 8 << 20;

Task<void> fetch(Stream& stream, http::BufferPool& buffers, std::string_view target, Result<http::ClientResponse>& out,
                 bool& done) {
  const std::array<http::Header, 2> headers{{{"host", "localhost"}, {"accept", "application/json"}}};
  const http::ClientRequest request{.method = "GET", .target = target, .headers = headers, .body = {}};
  auto answer =
      co_await http::exchange(stream, buffers, request, stream.loop().after_ms(kTimeoutMs), {.max_body = kMostBody});
  out = std::move(answer);
  done = true;
  stream.loop().stop();
}

std::string own_words(const http::ClientResponse& response) {
  const auto body = json::parse(response.body);
  const json::Value* text = body.ok() ? body->find("error_description") : nullptr;
  return text != nullptr && text->is_string() ? *text->string() : std::string("no reason given");
}

}  // namespace

Result<std::string> ask_agent(const std::string& socket_path, std::string_view target) {
  auto socket = connect_unix(socket_path);
  if (!socket.ok()) {
    return std::move(socket).error();
  }
  if (::fcntl(socket->get(), F_SETFL, O_NONBLOCK) != 0) {
    return errno_error("control socket");
  }
  Loop loop;
  http::BufferPool buffers;
  Stream stream(loop, std::move(*socket));
  if (!stream.registered()) {
    return bug("the control socket cannot be watched");
  }
  Result<http::ClientResponse> answer = bug("the control socket was not asked");
  bool done = false;
  const auto task = fetch(stream, buffers, target, answer, done);
  if (!done) {
    loop.run();
  }
  if (!answer.ok()) {
    return std::move(answer).error().context("the agent");
  }
  if (answer->status != 200) {
    return Error{.source = Source::kClient,
                 .message = fmt::format("the agent answered {}: {}", answer->status, own_words(*answer)),
                 .hint = {},
                 .code = answer->status == 403 ? EACCES : 0};
  }
  return std::move(answer->body);
}

}  // namespace msp::cli
