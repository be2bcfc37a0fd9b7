// SPDX-License-Identifier: Apache-2.0
// The server's side of a request that is passed on (http/passage.h).
// Lives in the frame of the connection's coroutine, on the loop's thread.
// Whatever fails on the client's side is remembered: the connection ends after it.
#pragma once

#include <optional>

#include "http/passage.h"
#include "http/server_connection.h"

namespace msp::http {

class ServerConnection::Passed final : public Passage {
 public:
  /// `reader`: null where the body was collected, or there is none.
  Passed(ServerConnection& connection, const Admission& admission, BodyReader* reader, bool body_waits)
      : connection_(connection), admission_(admission), reader_(reader), expects_continue_(body_waits) {}

  Task<BodyPiece> read() override;
  Task<bool> invite() override;
  const Framing& framing() const override { return admission_.framing; }
  Task<void> answer(Response response) override;
  Task<void> refuse(BodyPiece piece) override;
  Task<bool> begin(Response head, std::optional<std::uint64_t> length) override;
  Task<bool> write(std::string_view bytes) override;
  Task<bool> end() override;

  /// After the handler. True: the connection can serve another request.
  Task<bool> finish();

 private:
  enum class Stage : unsigned char { kNothing, kBegun, kDone };

  bool body_is_read() const { return reader_ == nullptr || reader_->complete(); }
  Task<bool> put(std::initializer_list<std::string_view> pieces);

  ServerConnection& connection_;
  const Admission& admission_;
  BodyReader* reader_;
  bool expects_continue_;
  Stage stage_ = Stage::kNothing;
  bool persistent_ = false;
  bool chunked_ = false;
  bool sends_body_ = true;
};

}  // namespace msp::http
