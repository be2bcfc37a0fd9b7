// SPDX-License-Identifier: Apache-2.0
#include "http/server_passage.h"

#include <fmt/core.h>

#include <utility>

#include "http/head_writer.h"
#include "http/linger.h"

namespace msp::http {

Task<bool> ServerConnection::Passed::put(std::initializer_list<std::string_view> pieces) {
  ServerShared& shared = connection_.shared_;
  const IoResult written = co_await connection_.stream_->write_while_taken(pieces, shared.limits.write_ms);
  if (!written.ok()) {
    stage_ = Stage::kDone;
    persistent_ = false;
  }
  co_return written.ok();
}

Task<bool> ServerConnection::Passed::invite() {
  if (!std::exchange(expects_continue_, false)) {
    co_return true;
  }
  const bool sent = co_await put({"HTTP/1.1 100 Continue\r\n\r\n"});
  co_return sent;
}

Task<BodyPiece> ServerConnection::Passed::read() {
  if (reader_ == nullptr) {
    co_return BodyPiece{};
  }
  const bool invited = co_await invite();
  if (!invited) {
    co_return BodyPiece{.status = BodyStatus::kError, .data = {}, .refusal = {}, .code = 0};
  }
  ServerShared& shared = connection_.shared_;
  const BodyPiece piece = co_await reader_->next(shared.loop.after_ms(shared.limits.body_ms));
  co_return piece;
}

Task<void> ServerConnection::Passed::answer(Response response) {
  stage_ = Stage::kDone;
  const bool stays = admission_.persistent && body_is_read() && !connection_.shared_.draining;
  persistent_ = co_await connection_.answer(std::move(response), stays);
}

Task<void> ServerConnection::Passed::refuse(BodyPiece piece) {
  stage_ = Stage::kDone;
  persistent_ = co_await connection_.refuse(refusal_of(piece));
}

Task<bool> ServerConnection::Passed::begin(Response head, std::optional<std::uint64_t> length) {
  const bool bodiless = head.status() == 204 || head.status() == 304;
  const int minor = connection_.scratch_->head.minor_version;
  sends_body_ = !bodiless && connection_.scratch_->head.method != "HEAD";
  chunked_ = !length && minor >= 1 && sends_body_;
  const bool delimited = length || chunked_ || !sends_body_;
  persistent_ = admission_.persistent && body_is_read() && delimited && !head.closes() && !connection_.shared_.draining;
  std::string& out = connection_.scratch_->out;
  out.clear();
  connection_.write_head(head, persistent_, bodiless ? std::nullopt : length, chunked_);
  stage_ = Stage::kBegun;
  const bool written = co_await put({out});
  co_return written;
}

Task<bool> ServerConnection::Passed::write(std::string_view bytes) {
  if (stage_ != Stage::kBegun) {
    co_return false;
  }
  if (!sends_body_ || bytes.empty()) {
    co_return true;
  }
  bool written = false;
  if (chunked_) {
    const std::string size = fmt::format("{:x}\r\n", bytes.size());
    written = co_await put({size, bytes, "\r\n"});
  } else {
    written = co_await put({bytes});
  }
  // What answers for it may have more at any time, without end.
  connection_.of_party_.spent += bytes.size();
  while (written && !connection_.shared_.has_turn(connection_.of_party_)) {
    co_await connection_.shared_.loop.next_turn();
  }
  co_return written;
}

Task<bool> ServerConnection::Passed::end() {
  bool written = stage_ == Stage::kBegun;
  if (written && chunked_) {
    written = co_await put({"0\r\n\r\n"});
  }
  stage_ = Stage::kDone;
  co_return written;
}

Task<bool> ServerConnection::Passed::finish() {
  if (stage_ == Stage::kNothing) {
    co_await answer(Response::json(500, error_body("internal_error", "there is no answer; please report this",
                                                   {connection_.request_id_.data(), connection_.request_id_.size()})));
  }
  if (stage_ == Stage::kBegun) {
    co_return false;
  }
  if (!body_is_read() && !connection_.stream_->cancelled()) {
    // Of the client's body something is on its way still: he shall see the answer all the same.
    ServerShared& shared = connection_.shared_;
    co_await linger(*connection_.stream_, connection_.buffer_, shared.loop.after_ms(shared.limits.linger_ms));
  }
  co_return persistent_;
}

}  // namespace msp::http
