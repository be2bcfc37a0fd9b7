// SPDX-License-Identifier: Apache-2.0
// What a server's handler sees and returns.
// Requests are views that live as long as the handler's task; responses are values. Loop's thread.
// A response that cannot be written (a line break in a header) becomes a 500 and is counted by the server.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/net.h"
#include "base/secret.h"
#include "http/head.h"
#include "http/target.h"

namespace msp::http {

struct ConnectionInfo {
  Ipv4Endpoint peer;                      ///< zero on unix sockets
  Ipv4Endpoint local;                     ///< zero on unix sockets
  std::optional<std::uint32_t> peer_uid;  ///< unix sockets: SO_PEERCRED
  int fd = -1;                            ///< for socket options only
};

struct Request {
  const RequestHead& head;  ///< exactly as received
  const Target& target;     ///< head.target in parts
  std::string_view body;    ///< de-chunked; empty while only the head is there
  const ConnectionInfo& connection;
  std::string_view request_id;   ///< 16 hex digits, unique for one run of the program
  std::uint64_t body_bytes = 0;  ///< de-chunked size, also of a body that was not kept
};

/// Header lines and body of an answer. `content-length`, `date` and `connection` are the server's.
class Response {
 public:
  explicit Response(int status = 200) : status_(status) {}
  static Response json(int status, std::string body);
  static Response text(int status, std::string body);
  /// Our error form (protocol.md J.2): JSON with error, error_description and the request's id; `cache-control:
  /// no-store`.
  static Response error(const Request& request, int status, std::string_view code, std::string_view description);

  Response& header(std::string_view name, std::string_view value);
  Response& body(std::string bytes) {
    body_ = std::move(bytes);
    return *this;
  }
  /// In the place of a body; it is wiped with the answer.
  Response& secret_body(const Secret& text) {
    secret_body_ = std::make_shared<const Wiped>(std::string(text.reveal()));
    return *this;
  }
  /// Ends the connection after this answer.
  Response& close() {
    close_ = true;
    return *this;
  }

  int status() const { return status_; }
  const std::string& body() const { return secret_body_ == nullptr ? body_ : secret_body_->text; }
  const std::string& header_lines() const { return lines_; }
  bool closes() const { return close_; }
  bool writable() const { return good_; }

 private:
  struct Wiped {
    std::string text;
    ~Wiped() { wipe(text); }
  };

  int status_;
  bool close_ = false;
  bool good_ = true;
  std::string lines_;
  std::string body_;
  std::shared_ptr<const Wiped> secret_body_;  ///< null: the other
};

/// {"error":…,"error_description":…,"request_id":…}; texts may hold any bytes, they are escaped.
std::string error_body(std::string_view code, std::string_view description, std::string_view request_id);

/// Ids of requests: 16 hex digits, unpredictable start, no repetition within a run.
class RequestIds {
 public:
  RequestIds();
  std::array<char, 16> next();

 private:
  std::uint64_t seed_;
  std::uint64_t count_ = 0;
};

}  // namespace msp::http
