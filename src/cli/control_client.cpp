// SPDX-License-Identifier: Apache-2.0
#include "cli/control_client.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <array>
#include <cerrno>

#include "base/json.h"
#include "base/loop.h"
#include "base/stream.h"
#include "base/unix_socket.h"
#include "http/buffer.h"
#include "http/client.h"

namespace msp::cli {
namespace {

constexpr std::uint64_t kMostBody = std::uint64_t{1} << 30;  // a backup of a large fleet

Task<void> fetch(Stream& stream, http::BufferPool& buffers, const Question& question, Result<http::ClientResponse>& out,
                 bool& done) {
  const std::array<http::Header, 2> headers{{{"host", "localhost"}, {"accept", "application/json"}}};
  const http::ClientRequest request{
      .method = question.method, .target = question.target, .headers = headers, .body = question.body};
  auto answer = co_await http::exchange(stream, buffers, request, stream.loop().after_ms(question.timeout_ms),
                                        {.max_body = kMostBody});
  out = std::move(answer);
  done = true;
  stream.loop().stop();
}

}  // namespace

Error own_words(const Reply& reply) {
  const auto body = json::parse(reply.body);
  const auto text = [&](std::string_view name) {
    const json::Value* value = body.ok() ? body->find(name) : nullptr;
    return value != nullptr && value->is_string() ? *value->string() : std::string();
  };
  Error error{.source = Source::kClient, .message = text("error_description"), .hint = text("remedy"), .code = 0};
  if (error.message.empty()) {
    error.message = fmt::format("it answered {} and gave no reason", reply.status);
  }
  return error;
}

Result<Reply> ask(const std::string& socket_path, const Question& question) {
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
  const auto task = fetch(stream, buffers, question, answer, done);
  if (!done) {
    loop.run();
  }
  if (!answer.ok()) {
    return std::move(answer).error().context(question.who);
  }
  return Reply{.status = answer->status, .body = std::move(answer->body)};
}

bool is_agent(const std::string& socket_path) {
  const auto reply = ask(socket_path, {.target = "/v1/status"});
  const auto body = json::parse(reply.ok() ? reply->body : std::string());
  return reply.ok() && reply->status == 200 && body.ok() && body->find("protected") != nullptr;
}

bool is_host(const std::string& socket_path) {
  const auto reply = ask(socket_path, {.target = "/v1/host"});
  const auto body = json::parse(reply.ok() ? reply->body : std::string());
  return reply.ok() && reply->status == 200 && body.ok() && body->find("listeners") != nullptr;
}

}  // namespace msp::cli
