// SPDX-License-Identifier: Apache-2.0
// A host for tests: status, key and attestation over loopback, with the faults that a test asks for.
// Lives on the test's loop; fields may be set between turns of it.
// It verifies attestations by the same string to sign, so it proves the driver, not the signature.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"
#include "http/date.h"
#include "http/server.h"
#include "protocol/authorization.h"
#include "protocol/headers.h"
#include "protocol/status.h"
#include "protocol/status_signature.h"
#include "protocol/string_to_sign.h"
#include "protocol/wait.h"

namespace msp::channel {

class FakeHost final : private http::Handler {
 public:
  FakeHost(Loop& loop, http::BufferPool& buffers) : loop_(loop), server_(loop, buffers, *this), release_(loop) {
    auto socket = make_tcp_socket();
    const auto listening = bind_and_listen(*socket, {{127, 0, 0, 1}, 0}, 64);
    endpoint_ = *local_endpoint(socket->get());
    const auto served = server_.listen(std::move(*socket));
    good_ = listening.ok() && served.ok();
  }
  ~FakeHost() override {
    release_.announce();
    for (int i = 0; i < 20; ++i) {
      loop_.run_once(1);
    }
  }

  Ipv4Endpoint endpoint() const { return endpoint_; }
  void enforce() { enabled_ = true; }
  void disable() { enabled_ = false; }
  /// The operator's reset: nothing latched any more, the incarnation raised.
  void reset() {
    latched.clear();
    refuse_keys = 0;
    ++incarnation;
  }

  std::string latched;
  std::uint32_t incarnation = 1;
  std::string guid_to_issue;  ///< empty: a good one
  std::string key_to_issue;   ///< hex digits that it does not keep, as of somebody in its place; empty: a good one
  bool silent = false;
  bool version_1 = false;                ///< speaks the older status document
  std::uint64_t delay_ms = 0;            ///< before each answer
  std::int64_t date_window_s = 1 << 30;  ///< of attestations, by the host's own clock
  bool holds = false;                    ///< knows the long poll, and says so
  bool never_waits = false;              ///< although it says that it does
  bool plain_date = false;               ///< says the time in the header that any hop may set
  bool undated = false;                  ///< says no time at all
  std::string asks;                      ///< of each signed request; empty: nothing
  std::vector<std::string> codings;      ///< that it says its status is in
  bool signs = false;                    ///< knows the signed status
  bool vouches = true;                   ///< and signs with a later key, too
  std::vector<std::string> asked_signs;
  std::map<std::string, std::string> keys;  ///< id to hex digits, all that were ever issued
  std::string tag = "t1";
  void change(std::string to) {
    tag = std::move(to);
    release_.announce();
  }
  std::vector<std::string> asked_waits;
  int canned_status = 0;
  std::string canned_body;
  int refuse_keys = 0;
  std::string refusal_body;  ///< of a refused key
  int refuse_attestations = 0;
  int drop_attestation_answers = 0;
  std::int64_t clock_offset_s = 0;
  std::uint32_t polls = 0;
  std::uint32_t keys_issued = 0;
  std::uint32_t attestations = 0;
  std::uint32_t bad_signatures = 0;
  std::uint32_t stale_dates = 0;

 private:
  std::uint64_t body_limit(const http::Request&) override { return 4096; }

  Task<http::Response> handle(const http::Request& request) override {
    const std::string path(request.target.path);
    if (silent) {
      const bool released = co_await release_.wait(loop_.after_ms(1'000));
      co_return http::Response(released ? 503 : 504).close();
    }
    if (delay_ms > 0) {
      [[maybe_unused]] const bool released = co_await release_.wait(loop_.after_ms(delay_ms));
    }
    if (path == protocol::kStatusPath) {
      ++polls;
      const auto wait = protocol::parse_wait(request.head.headers.value(protocol::kWaitHeader));
      asked_waits.emplace_back(request.head.headers.value(protocol::kWaitHeader));
      if (holds && !never_waits && wait && wait->tag == tag && wait->seconds > 0) {
        [[maybe_unused]] const bool changed =
            co_await release_.wait(loop_.after_ms(std::uint64_t{1'000} * wait->seconds));
      }
      auto response = dated(canned_status != 0 ? http::Response::json(canned_status, canned_body)
                                               : http::Response::json(200, status_text()));
      asked_signs.emplace_back(request.head.headers.value(protocol::kSignRequestHeader));
      sign(request, response);
      co_return response;
    }
    if (path == protocol::kKeyPath) {
      co_return refuse_keys != 0 ? http::Response::json(refuse_keys, refusal_body) : issue();
    }
    if (refuse_attestations != 0) {
      co_return http::Response(refuse_attestations);
    }
    const auto date = http::parse_date(request.head.headers.value(protocol::kDateHeader));
    if (!date.has_value() || *date < now_s() - date_window_s || *date > now_s() + date_window_s) {
      ++stale_dates;
      co_return http::Response(401);
    }
    const bool good = attest(request);
    if (good && drop_attestation_answers > 0) {
      --drop_attestation_answers;
      const bool released = co_await release_.wait(loop_.after_ms(1'000));
      co_return http::Response(released ? 503 : 504).close();
    }
    co_return http::Response(good ? 200 : 401);
  }

  std::int64_t now_s() const { return SystemClock().realtime_ns() / 1'000'000'000 + clock_offset_s; }

  http::Response dated(http::Response response) const {
    const auto date = http::format_date(now_s());
    if (!undated) {
      response.header(plain_date ? "date" : protocol::kDateHeader, {date.data(), date.size()});
    }
    if (!asks.empty()) {
      response.header(protocol::kAsksHeader, asks);
    }
    for (const std::string& coding : codings) {
      response.header("content-encoding", coding);
    }
    if (holds) {
      response.header(protocol::kWaitHeader, protocol::format_wait({.tag = tag, .seconds = 30}));
    }
    return response;
  }

  /// With any key that was ever attested here.
  void sign(const http::Request& request, http::Response& response) const {
    const auto asked = protocol::parse_sign_request(request.head.headers.value(protocol::kSignRequestHeader));
    if (!signs || !asked) {
      return;
    }
    const std::string next(request.head.headers.value(protocol::kSignNextHeader));
    const std::string lines = response.header_lines();
    const auto add = [&](std::string_view name, const std::string& later) {
      if (const auto digest = signature(request, response, lines, *asked, later); digest) {
        response.header(name, protocol::format_status_signature(
                                  {.guid = later.empty() ? asked->guid : later, .signature = *digest}));
      }
    };
    add(protocol::kStatusSignatureHeader, asked->linked);
    if (vouches && !next.empty()) {
      add(protocol::kNextSignatureHeader, next);
    }
  }

  std::optional<Sha256Digest> signature(const http::Request& request, const http::Response& response,
                                        const std::string& lines, const protocol::SignRequest& asked,
                                        const std::string& later) const {
    const auto first = keys.find(asked.guid);
    const auto last = keys.find(later.empty() ? asked.guid : later);
    if (first == keys.end() || last == keys.end()) {
      return std::nullopt;
    }
    Secret secret = *protocol::status_secret(*Secret::from_hex(first->second));
    if (!later.empty()) {
      secret = *protocol::linked_secret(secret, *protocol::status_secret(*Secret::from_hex(last->second)));
    }
    auto mac = HmacSha256::create(secret);
    const auto value = [&](std::string_view name) {
      const auto at = lines.find(std::string(name) + ": ");
      const auto from = at == std::string::npos ? at : at + name.size() + 2;
      return at == std::string::npos ? std::string() : lines.substr(from, lines.find('\r', from) - from);
    };
    const std::string date = value(protocol::kDateHeader);
    const std::string type = value("content-type");
    const std::string wait = value(protocol::kWaitHeader);
    return *protocol::sign_status(*mac, {.nonce = asked.nonce,
                                         .status = response.status(),
                                         .asked_date = request.head.headers.value(protocol::kDateHeader),
                                         .date = date,
                                         .content_type = type,
                                         .wait = wait,
                                         .body = response.body()});
  }

  std::string status_text() const {
    protocol::StatusDocument document;
    document.authorization_scheme = protocol::kScheme;
    document.key_delivery_method = protocol::kKeyDelivery;
    document.version = "2.0";
    document.secure_channel_enabled = enabled_;
    if (!latched.empty()) {
      document.key_guid = latched;
    }
    document.key_incarnation_id = incarnation;
    if (version_1) {
      document.version = "1.0";
      document.secure_channel_enabled.reset();
      document.secure_channel_state = enabled_ ? "WireserverAndImds" : "Disabled";
    } else if (enabled_) {
      const RuleItem item{.default_access = "allow", .mode = "enforce", .id = "r1", .rules = {}};
      document.authorization_rules = protocol::AuthorizationRules{.imds = item, .wireserver = item, .hostga = {}};
    }
    return protocol::write_status(document);
  }

  http::Response issue() {
    ++keys_issued;
    const std::string guid = guid_to_issue.empty() ? *random_guid() : guid_to_issue;
    std::string digits = key_to_issue;
    if (digits.empty()) {
      digits = hex_encode(random_secret(32)->bytes());
      keys[guid] = digits;
    }
    return http::Response::json(
        200, fmt::format(R"({{"authorizationScheme":"Azure-HMAC-SHA256","guid":"{}","incarnationId":{},)"
                         R"("issued":"2025-04-23T12:00:00Z","key":"{}"}})",
                         guid, incarnation, digits));
  }

  bool attest(const http::Request& request) {
    ++attestations;
    const auto guid = protocol::parse_attestation_path(request.target.path);
    const auto given = protocol::parse_authorization(request.head.headers.value(protocol::kAuthorizationHeader));
    const auto found = keys.find(std::string(guid.value_or("")));
    if (!given.has_value() || found == keys.end() || given->guid != *guid) {
      ++bad_signatures;
      return false;
    }
    auto mac = HmacSha256::create(*Secret::from_hex(found->second));
    protocol::StringToSign text;
    const auto built = text.build({.method = request.head.method,
                                   .path = request.target.path,
                                   .query = {},
                                   .headers = {request.head.headers.begin(), request.head.headers.size()}});
    const auto expected = protocol::sign(*mac, text, request.body);
    if (!built.ok() || !expected.ok() || *expected != given->signature) {
      ++bad_signatures;
      return false;
    }
    latched = *guid;
    return true;
  }

  Loop& loop_;
  http::Server server_;
  Signal release_;
  Ipv4Endpoint endpoint_;
  bool good_ = false;
  bool enabled_ = false;
};

}  // namespace msp::channel
