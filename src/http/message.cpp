// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <sys/random.h>

#include "base/json.h"
#include "http/head_writer.h"

namespace msp::http {

Response Response::json(int status, std::string body) {
  Response out(status);
  out.header("content-type", "application/json");
  out.body(std::move(body));
  return out;
}

Response Response::text(int status, std::string body) {
  Response out(status);
  out.header("content-type", "text/plain; charset=utf-8");
  out.body(std::move(body));
  return out;
}

Response Response::error(const Request& request, int status, std::string_view code, std::string_view description) {
  Response out = json(status, error_body(code, description, request.request_id));
  out.header("cache-control", "no-store");
  return out;
}

Response& Response::header(std::string_view name, std::string_view value) {
  HeadWriter writer(lines_);
  writer.header(name, value);
  good_ = good_ && writer.good();
  return *this;
}

std::string error_body(std::string_view code, std::string_view description, std::string_view request_id) {
  std::string out;
  out.reserve(64 + code.size() + description.size() + request_id.size());
  out += "{\"error\":";
  json::append_json_string(out, code);
  out += ",\"error_description\":";
  json::append_json_string(out, description);
  out += ",\"request_id\":";
  json::append_json_string(out, request_id);
  out += '}';
  return out;
}

RequestIds::RequestIds() : seed_(reinterpret_cast<std::uintptr_t>(this)) {
  // Ids are for finding a line in a log, not for keeping anybody out: a weak start is better than none.
  [[maybe_unused]] const auto n = ::getrandom(&seed_, sizeof(seed_), GRND_NONBLOCK);
}

std::array<char, 16> RequestIds::next() {
  // splitmix64: a bijection of the counter, so that no id comes twice.
  std::uint64_t z = seed_ + ++count_ * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  z ^= z >> 31U;
  std::array<char, 16> out{};
  for (char& c : out) {
    c = "0123456789abcdef"[z >> 60U];
    z <<= 4U;
  }
  return out;
}

}  // namespace msp::http
