// SPDX-License-Identifier: Apache-2.0
// One connection of a Server: reads requests, calls the handler, writes answers.
// Made and freed by its Server on the loop's thread; its coroutine runs from start() to the closing of the socket.
// Input comes from untrusted clients; whatever cannot be understood is answered once and ends the connection.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/list.h"
#include "base/stream.h"
#include "base/task.h"
#include "http/buffer.h"
#include "http/framing.h"
#include "http/message.h"
#include "http/server.h"

namespace msp::http {

/// What a request in progress needs beside its buffer; idle connections hold none.
struct ServerScratch {
  RequestHead head;
  std::string body;
  std::string out;
};

class ServerConnection : public ListHook<ServerConnection> {
 public:
  ServerConnection(ServerShared& shared, Fd socket, ConnectionInfo info, Party party, ServerShared::Held& held);
  ~ServerConnection();

  void start();
  bool done() const { return task_ && task_->done(); }
  /// True while no byte of a request is here, not even unread: nobody is hurt when the connection closes now.
  bool idle() const { return (idle_ || (reading_head_ && buffer_.empty())) && stream_ && stream_->quiet(); }
  void cancel();

 private:
  class Passed;
  /// What a head asks for, once it is found acceptable.
  struct Admission {
    Target target;
    Framing framing;
    bool persistent = false;
    bool expects_continue = false;
  };

  Task<void> run();
  Task<bool> wait_for_request(bool first);
  Task<bool> serve_one(bool first);
  Task<bool> serve_admitted(const Admission& admission, std::size_t head_size);
  struct BodyTerms {
    std::uint64_t limit = 0;
    bool keep = true;
  };
  Task<std::optional<Refusal>> collect_body(const Admission& admission, BodyTerms terms, Buffer& rest,
                                            std::uint64_t& bytes);
  Task<bool> answer(Response response, bool persistent);
  Task<bool> refuse(Refusal refusal);
  /// The last answer of this connection; of what is still on its way nothing is looked at.
  Task<bool> end_with(Response response);
  void forget_body();
  Task<bool> serve_collected(const Admission& admission, const Request& request, Passing passing);
  Task<bool> serve_streamed(const Admission& admission, const Request& request, std::uint64_t limit, Buffer& rest);
  static Checked<Admission> admit(const RequestHead& head);
  /// Why a body that did not come to its end is refused.
  static Refusal refusal_of(const BodyPiece& piece);
  void write_head(const Response& response, bool persistent, std::optional<std::uint64_t> length, bool chunked);
  void take_scratch();
  void give_scratch_back();

  ServerShared& shared_;
  ConnectionInfo info_;
  Party party_;
  ServerShared::Held& of_party_;
  std::uint64_t held_bytes_ = 0;  // of the body that is kept
  std::unique_ptr<Stream> stream_;
  Buffer buffer_;
  std::unique_ptr<ServerScratch> scratch_;
  std::array<char, 16> request_id_{};
  bool idle_ = false;
  bool reading_head_ = false;
  std::optional<Task<void>> task_;
};

}  // namespace msp::http
