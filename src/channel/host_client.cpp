// SPDX-License-Identifier: Apache-2.0
#include "channel/host_client.h"

#include <fmt/core.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "base/json.h"
#include "http/date.h"
#include "protocol/authorization.h"
#include "protocol/error_form.h"
#include "protocol/headers.h"
#include "protocol/string_to_sign.h"

namespace msp::channel {
namespace {

constexpr std::uint64_t kMostStatusBytes = 1 << 20;
constexpr std::size_t kOwnHeaders = 10;
// A date header has whole seconds: a difference below this is its granularity, not the host's clock.
constexpr std::int64_t kDateGrainMs = 1'000;

bool is_refusal(int status) { return status >= 400 && status < 500 && status != 408 && status != 429; }

/// Nobody asked for a coding; what it would say decoded is another document.
bool is_encoded(const http::ClientResponse& answer) {
  return std::ranges::any_of(answer.headers, [](const http::OwnedHeader& header) {
    return header.name == "content-encoding" && !header.value.empty() && !http::iequals(header.value, "identity");
  });
}

/// Names the stream of the request under way, for as long as there is one.
class UnderWay {
 public:
  UnderWay(Stream*& place, Stream& stream) : place_(place) { place_ = &stream; }
  ~UnderWay() { place_ = nullptr; }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;

 private:
  Stream*& place_;
};

// Moves on what went wrong on the way, under a name of what was wanted.
template <class To, class From>
Answer<To> failed(std::string_view what, const Answer<From>& from) {
  return {
      .value = std::nullopt, .why = fmt::format("{}: {}", what, from.why), .refused = from.refused, .code = from.code};
}

}  // namespace

struct HostClient::Outgoing {
  std::string_view what = {};  // for messages
  std::string_view method = {};
  std::string target = {};
  std::string_view body = {};
  const protocol::KeyDocument* signer = nullptr;
  int success = 200;  // 0: any 2xx
  std::optional<protocol::Wait> wait = {};
  std::optional<protocol::SignRequest> sign = {};
  std::string sign_next = {};
  std::string date = {};  // of the request; empty: now

  std::string length = {};
  std::string waits = {};
  std::string signs = {};
  std::vector<http::Header> headers = {};
};

void HostTime::heard(std::string_view value, std::uint64_t boot_ms) {
  const auto seconds = http::parse_date(value);
  if (!seconds.has_value()) {
    return;
  }
  const std::int64_t offset = *seconds * 1000 + kDateGrainMs / 2 - static_cast<std::int64_t>(boot_ms);
  if (!offset_ms_.has_value() || std::abs(offset - *offset_ms_) >= kDateGrainMs) {
    offset_ms_ = offset;
  }
}

std::int64_t HostTime::unix_seconds(const Clock& clock) const {
  if (!offset_ms_.has_value()) {
    return clock.realtime_ns() / 1'000'000'000;
  }
  return (static_cast<std::int64_t>(clock.boottime_ms()) + *offset_ms_) / 1000;
}

HostClient::HostClient(Loop& loop, http::BufferPool& buffers, const Clock& clock, Dialer dialer, Settings settings)
    : loop_(loop),
      buffers_(buffers),
      clock_(clock),
      dialer_(std::move(dialer)),
      settings_(settings),
      host_name_(address_text(settings.host)) {}

Result<std::string> HostClient::authorization(const protocol::KeyDocument& key, const Outgoing& request) const {
  auto bytes = key.key();
  if (!bytes.ok()) {
    return std::move(bytes).error();
  }
  auto mac = HmacSha256::create(*bytes);
  if (!mac.ok()) {
    return std::move(mac).error();
  }
  protocol::StringToSign text;
  const auto built =
      text.build({.method = request.method, .path = request.target, .query = {}, .headers = request.headers});
  if (!built.ok()) {
    return built.error();
  }
  const auto signature = protocol::sign(*mac, text, request.body);
  if (!signature.ok()) {
    return signature.error();
  }
  std::string out;
  protocol::format_authorization(key.guid, *signature, out);
  return out;
}

Task<Answer<http::ClientResponse>> HostClient::send(const Outgoing& given) {
  const auto fail = [&](std::string why) {
    return Answer<http::ClientResponse>{.value = std::nullopt,
                                        .why = fmt::format("{} {}: {}", given.what, to_string(settings_.host), why)};
  };
  Outgoing request = given;
  if (request.date.empty()) {
    request.date = date_now();
  }
  request.length = std::to_string(request.body.size());
  request.headers.reserve(kOwnHeaders);
  request.headers = {{protocol::kDateHeader, request.date},
                     {"host", host_name_},
                     {protocol::kClaimsHeader, protocol::claims_text(true)},
                     {"content-length", request.length},
                     {protocol::kMetadataHeader, protocol::kOwnMetadataValue}};
  if (!request.body.empty()) {
    request.headers.push_back({"content-type", "application/json"});
  }
  if (request.wait.has_value()) {
    request.waits = protocol::format_wait(*request.wait);
    request.headers.push_back({protocol::kWaitHeader, request.waits});
  }
  if (request.sign.has_value()) {
    request.signs = protocol::format_sign_request(*request.sign);
    request.headers.push_back({protocol::kSignRequestHeader, request.signs});
    if (!request.sign_next.empty()) {
      request.headers.push_back({protocol::kSignNextHeader, request.sign_next});
    }
  }
  std::string signature;
  if (request.signer != nullptr) {
    auto made = authorization(*request.signer, request);
    if (!made.ok()) {
      co_return fail(made.error().text());
    }
    signature = std::move(*made);
    request.headers.push_back({protocol::kAuthorizationHeader, signature});
  }

  auto socket = dialer_(settings_.host);
  if (!socket.ok()) {
    co_return fail(socket.error().text());
  }
  const std::uint64_t held_ms = request.wait.has_value() ? std::uint64_t{1'000} * request.wait->seconds : 0;
  const Deadline deadline = loop_.after_ms(settings_.timeout_ms + held_ms);
  Stream stream(loop_, std::move(*socket));
  if (!stream.registered()) {
    co_return fail("no descriptor can be watched any more");
  }
  const UnderWay under_way(stream_, stream);
  const IoResult connected = co_await stream.connect(settings_.host, loop_.after_ms(settings_.timeout_ms));
  if (!connected.ok()) {
    co_return fail(connected.status == IoStatus::kTimeout
                       ? fmt::format("no connection within {} ms", settings_.timeout_ms)
                       : errno_error("no connection", connected.code).text());
  }
  const http::ClientRequest message{
      .method = request.method, .target = request.target, .headers = request.headers, .body = request.body};
  auto answer = co_await http::exchange(stream, buffers_, message, deadline, {.max_body = kMostStatusBytes});
  if (!answer.ok()) {
    co_return fail(answer.error().text());
  }
  const int status = answer->status;
  const bool good = request.success == 0 ? status >= 200 && status < 300 : status == request.success;
  if (!good) {
    std::string code = protocol::read_error_form(answer->body).code;
    auto failure = fail(code.empty() ? fmt::format("the host answered {}", status)
                                     : fmt::format("the host answered {} ({})", status, code));
    failure.refused = is_refusal(status);
    failure.code = std::move(code);
    failure.status = status;
    co_return failure;
  }
  if (is_encoded(*answer)) {
    co_return fail("the answer is encoded, which was not asked for");
  }
  co_return Answer<http::ClientResponse>{.value = std::move(*answer), .why = {}};
}

void HostClient::cut() {
  if (stream_ != nullptr) {
    stream_->cancel();
  }
}

std::string HostClient::date_now() const {
  const auto date = http::format_date(time_.unix_seconds(clock_));
  return {date.data(), date.size()};
}

Task<Answer<protocol::StatusDocument>> HostClient::status(std::optional<protocol::Wait> wait, StatusGuard* guard) {
  if (auto ready = guard == nullptr ? Result<void>() : guard->prepare(); !ready.ok()) {
    co_return Answer<protocol::StatusDocument>{
        .value = std::nullopt, .why = ready.error().text(), .code = std::string(kStatusUncheckable)};
  }
  const Outgoing request{.what = "cannot poll the host",
                         .method = "GET",
                         .target = std::string(protocol::kStatusPath),
                         .success = 0,
                         .wait = std::move(wait),
                         .sign = guard == nullptr ? std::nullopt : guard->ask(),
                         .sign_next = guard == nullptr ? std::string() : guard->ask_next(),
                         .date = date_now()};
  auto answer = co_await send(request);
  if (!answer.value.has_value()) {
    co_return Answer<protocol::StatusDocument>{.value = std::nullopt,
                                               .why = std::move(answer.why),
                                               .refused = answer.refused,
                                               .code = std::move(answer.code),
                                               .status = answer.status};
  }
  if (auto doubt = guard == nullptr ? std::nullopt : judge(*guard, request, *answer.value); doubt) {
    co_return Answer<protocol::StatusDocument>{
        .value = std::nullopt, .why = std::move(doubt->why), .code = std::move(doubt->code)};
  }
  const std::string* type = answer.value->header("content-type");
  auto document = protocol::read_status(answer.value->body, type == nullptr ? std::string_view() : *type);
  if (!document.ok()) {
    co_return Answer<protocol::StatusDocument>{.value = std::nullopt,
                                               .why = document.error().text(),
                                               .code = std::string(kStatusNotUnderstood),
                                               .status = answer.value->status};
  }
  const std::string* date = answer.value->header(protocol::kDateHeader);
  // Any hop may set this one: it is not signed.
  const bool must_be_signed = guard != nullptr && guard->demands();
  date = date == nullptr && !must_be_signed ? answer.value->header("date") : date;
  if (date != nullptr) {
    time_.heard(*date, clock_.boottime_ms());
  }
  const std::string* told = answer.value->header(protocol::kWaitHeader);
  told_ = told == nullptr ? std::nullopt : protocol::parse_wait(*told);
  const std::string* asks = answer.value->header(protocol::kAsksHeader);
  asks_ = asks == nullptr ? protocol::Asks{} : protocol::parse_asks(*asks);
  co_return Answer<protocol::StatusDocument>{.value = std::move(*document), .why = {}};
}

std::optional<Disbelief> HostClient::judge(StatusGuard& guard, const Outgoing& request,
                                           const http::ClientResponse& answer) {
  const auto value = [&](std::string_view name) {
    const std::string* found = answer.header(name);
    return found == nullptr ? std::string_view() : std::string_view(*found);
  };
  return guard.judge(request.sign,
                     {.header = answer.header(protocol::kStatusSignatureHeader),
                      .next = answer.header(protocol::kNextSignatureHeader)},
                     {.nonce = request.sign ? std::string_view(request.sign->nonce) : std::string_view(),
                      .status = answer.status,
                      .asked_date = request.date,
                      .date = value(protocol::kDateHeader),
                      .content_type = value("content-type"),
                      .wait = value(protocol::kWaitHeader),
                      .asks = value(protocol::kAsksHeader),
                      .body = answer.body});
}

// The pool hands the block used last out first: the one that the key came through.
void HostClient::wipe_buffer() {
  http::Buffer buffer = buffers_.take();
  ::explicit_bzero(buffer.writable().data(), buffer.writable().size());
}

Task<Answer<protocol::KeyDocument>> HostClient::acquire() {
  const Outgoing request{.what = "cannot get a key from the host",
                         .method = "POST",
                         .target = std::string(protocol::kKeyPath),
                         .body = protocol::kAcquireBody};
  auto answer = co_await send(request);
  wipe_buffer();
  if (!answer.value.has_value()) {
    co_return Answer<protocol::KeyDocument>{
        .value = std::nullopt, .why = std::move(answer.why), .refused = answer.refused, .code = std::move(answer.code)};
  }
  auto key = protocol::parse_key_document(answer.value->body, Source::kHost);
  wipe(answer.value->body);
  if (!key.ok()) {
    co_return Answer<protocol::KeyDocument>{.value = std::nullopt, .why = key.error().text()};
  }
  co_return Answer<protocol::KeyDocument>{.value = std::move(*key), .why = {}};
}

Task<Answer<bool>> HostClient::attest(const protocol::KeyDocument& key) {
  const Outgoing request{.what = "cannot attest the key at the host",
                         .method = "POST",
                         .target = protocol::attestation_path(key.guid),
                         .signer = &key};
  auto answer = co_await send(request);
  if (!answer.value.has_value()) {
    co_return Answer<bool>{
        .value = std::nullopt, .why = std::move(answer.why), .refused = answer.refused, .code = std::move(answer.code)};
  }
  co_return Answer<bool>{.value = true, .why = {}};
}

}  // namespace msp::channel
