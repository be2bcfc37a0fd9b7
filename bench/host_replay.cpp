// SPDX-License-Identifier: Apache-2.0
// host-replay COUNT MACHINES DIRECTORY open|verified|nonces: the host's path of one request behind the socket, COUNT
// times in one process: parse, find the machine, verify (or not: its services are disabled), content, line of the
// access log. Each request comes from the next of MACHINES machines, all latched. DIRECTORY: empty; the database comes
// to lie there. Prints nanoseconds of CPU of the loop's thread a request. Counted under callgrind as the difference of
// two counts.
#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/json.h"
#include "gateway/gateway.h"
#include "gateway/model.h"
#include "gateway/model_store.h"
#include "http/date.h"
#include "protocol/authorization.h"
#include "protocol/extensions.h"
#include "protocol/headers.h"
#include "protocol/string_to_sign.h"

namespace msp::gateway {
namespace {

constexpr std::uint64_t kEpoch = 7;
constexpr std::uint64_t kStream = 0x1122334455667788;
constexpr std::size_t kLeastMade = 2000;
constexpr std::string_view kTarget = "/metadata/instance?api-version=2021-02-01";

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) {
    give_up(result.error().text());
  }
  return std::move(*result);
}

struct Machine {
  Ipv4Address address;
  std::string guid;
  std::optional<HmacSha256> mac;
};

/// As an agent of the field has it, or of ours with `nonce`.
std::string request_of(Machine& machine, const std::string& date, std::optional<std::uint64_t> nonce) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"host", "169.254.169.254"},
      {"user-agent", "curl/7.88.1"},
      {"accept", "*/*"},
      {"metadata", "true"},
      {std::string(protocol::kClaimsHeader), R"({ "isRoot": "true"})"},
      {std::string(protocol::kDateHeader), date}};
  if (nonce) {
    std::array<char, protocol::kMostNonceSize> text{};
    lines.emplace_back(protocol::kNonceHeader,
                       protocol::format_nonce({.epoch = kEpoch, .stream = kStream, .counter = *nonce}, text));
  }
  std::string head = fmt::format("GET {} HTTP/1.1\r\n", kTarget);
  std::vector<http::Header> headers;
  for (const auto& [name, value] : lines) {
    headers.push_back({name, value});
    head += name + ": " + value + "\r\n";
  }
  const auto question = kTarget.find('?');
  protocol::StringToSign text;
  if (!text.build({.method = "GET",
                   .path = kTarget.substr(0, question),
                   .query = kTarget.substr(question + 1),
                   .headers = headers,
                   .extended = nonce.has_value()})) {
    give_up("the request cannot be signed");
  }
  std::string authorization;
  protocol::format_authorization(machine.guid, must(protocol::sign(*machine.mac, text, std::string_view())),
                                 authorization);
  return head + std::string(protocol::kAuthorizationHeader) + ": " + authorization + "\r\n\r\n";
}

class Replay {
 public:
  Replay(std::size_t machines, const std::string& directory, bool verified)
      : store_(must(open_sqlite_store(directory + "/host.db"))), log_(must(AccessLog::open("/dev/null"))) {
    for (std::size_t i = 0; i < machines; ++i) {
      add(i, verified);
    }
    keys_ = must(KeyRing::open(*store_, must(random_secret(32)), registry_, clock_, 16));
    for (const auto& vm : registry_.all()) {
      const IssuedKey key = *must(keys_->issue(*vm));
      if (must(keys_->latch(*vm, key.guid)) != LatchOutcome::kLatched) {
        give_up("not latched");
      }
      machines_.push_back({vm->addresses.front(), key.guid, must(HmacSha256::create(key.key))});
    }
    gateway_.emplace(loop_, buffers_, registry_, *keys_, *log_, Signers{}, clock_, Config{}, kEpoch);
  }

  /// Nanoseconds of CPU a request.
  std::uint64_t run(std::size_t count, bool nonces) {
    const http::DateText now = http::format_date(clock_.realtime_ns() / 1'000'000'000);
    const std::string date(now.data(), now.size());
    std::vector<std::string> texts;
    // Those with nonces are made beforehand, and as many for small counts: what making them costs falls out then.
    const std::size_t different = nonces ? std::max(count, kLeastMade) : machines_.size();
    for (std::size_t i = 0; i < different; ++i) {
      const auto nonce = nonces ? std::optional<std::uint64_t>(i / machines_.size() + 1) : std::nullopt;
      texts.push_back(request_of(machines_[i % machines_.size()], date, nonce));
    }
    const std::uint64_t begin = cpu_ns();
    for (std::size_t i = 0; i < count; ++i) {
      ask(machines_[i % machines_.size()].address, texts[i % different]);
    }
    return (cpu_ns() - begin) / count;
  }

 private:
  void add(std::size_t number, bool verified) {
    const std::array<std::uint8_t, 4> address{10, static_cast<std::uint8_t>(number >> 16),
                                              static_cast<std::uint8_t>(number >> 8),
                                              static_cast<std::uint8_t>(number)};
    const std::string mode = verified ? "Enforce" : "Disabled";
    const std::string text = fmt::format(
        R"({{"name":"vm-{0}","location":"westeurope","properties":{{"vmId":"5f1c6f5e-9d61-4a52-8a3b-{0:012x}",)"
        R"("hardwareProfile":{{"vmSize":"Standard_D2s_v5"}},"securityProfile":{{"proxyAgentSettings":{{"enabled":true,)"
        R"("imds":{{"mode":"{1}"}},"wireServer":{{"mode":"{1}"}}}}}}}}}})",
        number, mode);
    json::Problems problems({}, "model");
    VmModel model = read_model(must(json::parse(text)), "", problems);
    model.private_addresses = {address};
    if (auto added = registry_.add(must(make_vm(std::move(model), {}))); !added) {
      give_up(added.error().text());
    }
  }

  void ask(const Ipv4Address& from, const std::string& text) {
    buffer_ = text;  // as read from a socket
    if (!http::parse_request_head(buffer_, head_).complete()) {
      give_up("the request cannot be parsed");
    }
    const auto target = http::parse_target(head_.target);
    const http::ConnectionInfo connection{.peer = {from, 40'000}, .local = {}, .peer_uid = {}};
    const http::Request request{head_, *target, {}, connection, "0123456789abcdef"};
    const http::Response response = gateway_->handle({.service = Service::kImds}, request);
    if (response.status() != 200) {
      give_up(fmt::format("{}: {}", response.status(), response.body()));
    }
  }

  static std::uint64_t cpu_ns() {
    timespec ts{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(ts.tv_nsec);
  }

  Loop loop_;
  http::BufferPool buffers_;
  SystemClock clock_;
  std::unique_ptr<HostStore> store_;
  std::unique_ptr<AccessLog> log_;
  VmRegistry registry_;
  std::unique_ptr<KeyRing> keys_;
  std::vector<Machine> machines_;
  std::optional<Gateway> gateway_;
  std::string buffer_;
  http::RequestHead head_;
};

int replay(std::size_t count, std::size_t machines, const std::string& directory, std::string_view how) {
  Replay all(machines, directory, how != "open");
  fmt::print("{}\n", all.run(count, how == "nonces"));
  return 0;
}

}  // namespace
}  // namespace msp::gateway

int main(int argc, char** argv) {
  const auto number = [&](int at) {
    std::size_t value = 0;
    const std::string_view text = at < argc ? argv[at] : "";
    return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc{} ? value : 0;
  };
  const std::string_view how = argc == 5 ? argv[4] : "";
  if (number(1) == 0 || number(2) == 0 || (how != "open" && how != "verified" && how != "nonces")) {
    std::fputs("usage: host-replay COUNT MACHINES DIRECTORY open|verified|nonces\n", stderr);
    return 2;
  }
  return msp::gateway::replay(number(1), number(2), argv[3], how);
}
