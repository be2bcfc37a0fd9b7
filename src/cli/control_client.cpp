// SPDX-License-Identifier: Apache-2.0
#include "cli/control_client.h"

#include <fcntl.h>

#include <array>

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

std::string own_words(const Reply& reply) {
  const auto body = json::parse(reply.body);
  const json::Value* text = body.ok() ? body->find("error_description") : nullptr;
  return text != nullptr && text->is_string() ? *text->string() : std::string("no reason given");
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

}  // namespace msp::cli
