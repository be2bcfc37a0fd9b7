// SPDX-License-Identifier: Apache-2.0
// Every request writes a line, so it is written through a bare pointer into room that is enough for the worst case:
// with a format string it took a quarter of all that the host does for a request behind its socket.
#include "gateway/access_record.h"

#include <charconv>

#include "base/json.h"
#include "base/text_bytes.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kMaxClientText = 1024;

// All names, punctuation, numbers and times of a line.
constexpr std::size_t kFixedBound = 512;
constexpr std::size_t kDigits = 20;

struct Texts {
  std::string_view vm;
  std::string_view method;
  std::string_view path;
};

/// Enough for any line of these.
std::size_t bound_of(const AccessRecord& record, const Texts& texts) {
  std::size_t escaped = texts.vm.size() + texts.method.size() + texts.path.size() + record.network.size();
  if (const protocol::Caller* caller = record.caller; caller != nullptr) {
    escaped += caller->user.size() + caller->executable.size() + caller->process.size() + caller->unit.size() +
               caller->denied.size();
  }
  return kFixedBound + TimestampWriter::kMostBytes + record.request_id.size() + record.vm_id.size() +
         record.reason.size() + json::json_string_bound(escaped);
}

/// `name` is the member with comma, quotes and colon.
char* put_number(char* out, std::string_view name, std::uint64_t value) {
  out = put_text(out, name);
  return std::to_chars(out, out + kDigits, value).ptr;
}

/// A text of our own, which needs no escaping.
char* put_plain(char* out, std::string_view name, std::string_view text) {
  return put_text(put_text(put_text(put_text(out, name), "\""), text), "\"");
}

char* put_string(char* out, std::string_view name, std::string_view text) {
  return text.empty() ? out : json::write_json_string(put_text(out, name), text);
}

char* put_peer(char* out, const Ipv4Endpoint& peer) {
  out = put_number(out, R"(,"peer":")", peer.address[0]);
  for (std::size_t i = 1; i < peer.address.size(); ++i) {
    out = put_number(out, ".", peer.address[i]);
  }
  return put_text(put_number(out, ":", peer.port), "\"");
}

char* put_caller(char* out, const protocol::Caller& caller) {
  if (caller.uid) {
    out = put_number(out, R"(,"uid":)", *caller.uid);
  }
  out = put_string(out, R"(,"user":)", caller.user);
  out = put_string(out, R"(,"exe":)", caller.executable);
  out = put_string(out, R"(,"process":)", caller.process);
  out = put_string(out, R"(,"unit":)", caller.unit);
  return put_string(out, R"(,"denied":)", caller.denied);
}

char* put_members(char* out, const AccessRecord& record, const Texts& texts) {
  out = put_plain(out, R"(,"request_id":)", record.request_id);
  out = put_peer(out, record.peer);
  out = put_plain(out, R"(,"service":)", to_string(record.service));
  out = put_plain(out, R"(,"outcome":)", to_string(record.outcome));
  out = put_number(out, R"(,"status":)", static_cast<std::uint64_t>(record.status));
  out = put_string(out, R"(,"network":)", record.network);
  if (!record.reason.empty()) {
    out = put_plain(out, R"(,"reason":)", record.reason);
  }
  if (!texts.vm.empty()) {
    out = put_plain(put_string(out, R"(,"vm":)", texts.vm), R"(,"vm_id":)", record.vm_id);
  }
  if (record.elevated) {
    out = put_text(out, *record.elevated ? R"(,"is_root":true)" : R"(,"is_root":false)");
  }
  if (record.caller != nullptr) {
    out = put_caller(out, *record.caller);
  }
  if (record.body_bytes != 0) {
    out = put_number(out, R"(,"body_bytes":)", record.body_bytes);
  }
  if (!texts.method.empty()) {
    out = json::write_json_string(put_text(out, R"(,"method":)"), texts.method);
    out = json::write_json_string(put_text(out, R"(,"path":)"), texts.path);
  }
  return out;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOpen:
      return "open";
    case Outcome::kVerified:
      return "verified";
    case Outcome::kExempt:
      return "exempt";
    case Outcome::kChannel:
      return "channel";
    case Outcome::kAudited:
      return "audited";
    case Outcome::kRefused:
      return "refused";
  }
  return "refused";
}

std::string_view AccessLine::write(const AccessRecord& record) {
  const Texts texts{.vm = record.vm_name,
                    .method = record.method.substr(0, kMaxClientText),
                    .path = record.path.substr(0, kMaxClientText)};
  text_.resize_and_overwrite(bound_of(record, texts), [&](char* begin, std::size_t) {
    char* out = put_text(time_.write(put_text(begin, R"({"time":")"), record.realtime_ns), "\"");
    out = put_text(put_members(out, record, texts), "}");
    return static_cast<std::size_t>(out - begin);
  });
  return text_;
}

}  // namespace msp::gateway
