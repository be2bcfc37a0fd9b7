// SPDX-License-Identifier: Apache-2.0
#include "http/framing.h"

#include <algorithm>
#include <limits>

namespace msp::http {
namespace {

struct LengthHeaders {
  const Header* length = nullptr;
  const Header* encoding = nullptr;
  bool repeated = false;
};

LengthHeaders find_lengths(const HeaderList& headers) {
  LengthHeaders out;
  for (const Header& header : headers) {
    if (iequals(header.name, "content-length")) {
      out.repeated = out.repeated || out.length != nullptr;
      out.length = &header;
    } else if (iequals(header.name, "transfer-encoding")) {
      out.repeated = out.repeated || out.encoding != nullptr;
      out.encoding = &header;
    }
  }
  return out;
}

/// `Content_Length` and `Transfer_Encoding`: to who reads headers as CGI variables (RFC 3875 4.1.18) these are lengths.
bool is_disguised_length(std::string_view name) {
  constexpr std::string_view kLength = "content_length";
  constexpr std::string_view kEncoding = "transfer_encoding";
  return (name.size() == kLength.size() && iequals(name, kLength)) ||
         (name.size() == kEncoding.size() && iequals(name, kEncoding));
}

/// kUntilClose stands for "no length at all"; requests and responses read that differently.
Checked<Framing> framing_of(const HeaderList& headers, int minor_version, int status) {
  const auto refuse = [status](std::string_view code, std::string_view what) {
    return std::unexpected(Refusal{status, code, what});
  };
  const LengthHeaders found = find_lengths(headers);
  if (found.repeated || (found.length != nullptr && found.encoding != nullptr)) {
    return refuse("length_ambiguous", "send exactly one of content-length and transfer-encoding, once");
  }
  if (found.encoding != nullptr) {
    if (minor_version == 0) {
      return refuse("bad_transfer_encoding", "HTTP/1.0 has no transfer-encoding; send a content-length");
    }
    if (!iequals(found.encoding->value, "chunked")) {
      return refuse("bad_transfer_encoding", "the only transfer-encoding taken is exactly \"chunked\"");
    }
    return Framing{BodyKind::kChunked, 0};
  }
  if (found.length != nullptr) {
    std::uint64_t length = 0;
    if (!parse_length(found.length->value, length)) {
      return refuse("bad_content_length", "content-length is not one plain decimal number");
    }
    return Framing{length == 0 ? BodyKind::kNone : BodyKind::kLength, length};
  }
  return Framing{BodyKind::kUntilClose, 0};
}

/// Calls f with each element of a comma-separated list, blanks taken off, empty ones left out.
template <class F>
void for_each_option(std::string_view list, F&& f) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view option = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    const std::size_t first = option.find_first_not_of(" \t");
    if (first != std::string_view::npos) {
      f(option.substr(first, option.find_last_not_of(" \t") - first + 1));
    }
  }
}

}  // namespace

bool parse_length(std::string_view text, std::uint64_t& length) {
  constexpr std::size_t kMaxDigits = 19;
  if (text.empty() || text.size() > kMaxDigits || (text.size() > 1 && text[0] == '0')) {
    return false;
  }
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return false;
    }
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  length = value;
  return value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

Checked<Framing> request_framing(const RequestHead& head) {
  if (std::ranges::any_of(head.headers, [](const Header& header) { return is_disguised_length(header.name); })) {
    return std::unexpected(Refusal{400, "length_ambiguous", "write content-length and transfer-encoding with a '-'"});
  }
  auto framing = framing_of(head.headers, head.minor_version, 400);
  if (framing && framing->kind == BodyKind::kUntilClose) {
    framing->kind = BodyKind::kNone;
  }
  return framing;
}

Checked<Framing> response_framing(const ResponseHead& head, std::string_view request_method) {
  auto framing = framing_of(head.headers, head.minor_version, 502);
  const bool bodiless = request_method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304;
  if (framing && bodiless) {
    return Framing{};
  }
  if (framing) {
    framing->of_answer = true;
  }
  return framing;
}

ConnectionOptions connection_options(const HeaderList& headers) {
  ConnectionOptions out;
  for (const Header& header : headers) {
    if (!iequals(header.name, "connection")) {
      continue;
    }
    for_each_option(header.value, [&out](std::string_view option) {
      if (iequals(option, "close")) {
        out.close = true;
      } else if (iequals(option, "keep-alive")) {
        out.keep_alive = true;
      } else if (!is_connection_header(option) && out.foreign.empty()) {
        out.foreign = option;
      }
    });
  }
  return out;
}

bool is_connection_option(const HeaderList& headers, std::string_view name) {
  bool named = false;
  for (const Header& header : headers) {
    if (iequals(header.name, "connection")) {
      for_each_option(header.value, [&](std::string_view option) { named = named || iequals(option, name); });
    }
  }
  return named;
}

bool is_connection_header(std::string_view name) {
  switch (name.size()) {
    case 2:
      return iequals(name, "te");
    case 6:
      return iequals(name, "expect");
    case 7:
      return iequals(name, "upgrade");
    case 10:
      return iequals(name, "connection") || iequals(name, "keep-alive");
    case 14:
      return iequals(name, "http2-settings");
    case 16:
      return iequals(name, "proxy-connection");
    default:
      return false;
  }
}

Expectation expectation(const RequestHead& head) {
  if (head.minor_version == 0) {
    return Expectation::kNone;
  }
  Expectation out = Expectation::kNone;
  for (const Header& header : head.headers) {
    if (!iequals(header.name, "expect")) {
      continue;
    }
    if (!iequals(header.value, "100-continue")) {
      return Expectation::kUnknown;
    }
    out = Expectation::k100Continue;
  }
  return out;
}

}  // namespace msp::http
