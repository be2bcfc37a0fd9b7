// SPDX-License-Identifier: Apache-2.0
#include "http/head.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "http/token.h"

namespace msp::http {
namespace {

bool visible(char c) { return static_cast<unsigned char>(static_cast<unsigned char>(c) - 0x20U) <= 0x5EU; }

/// True if every byte is printable ASCII or a tab, or, with `obs_text`, above 0x7F.
bool all_field_bytes(std::string_view text, bool obs_text) {
  if (text.size() >= kWordSize && every_word(text, all_visible)) {
    return true;
  }
  return std::all_of(text.begin(), text.end(), [obs_text](char c) {
    return visible(c) || c == '\t' || (obs_text && static_cast<unsigned char>(c) >= 0x80U);
  });
}

bool all_target_bytes(std::string_view text) {
  unsigned bad = 0;
  for (const char c : text) {
    bad |= static_cast<unsigned>(static_cast<unsigned char>(static_cast<unsigned char>(c) - 0x21U) > 0x5DU);
  }
  return bad == 0;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

ParseResult refuse(int status, std::string_view code, std::string_view what) {
  return {ParseStatus::kBad, 0, {status, code, what}};
}
ParseResult bad(std::string_view code, std::string_view what) { return refuse(400, code, what); }

/// Finds the end of the head: kComplete with its size. Line ends are judged here, so that a bare LF is refused at once.
ParseResult find_end(std::string_view bytes, bool leading_line, HeadProgress& progress) {
  const std::string_view window = bytes.substr(0, kMaxHeadBytes);
  if (progress.searched == 0 && leading_line && window.starts_with("\r\n")) {
    progress.searched = progress.line_start = 2;
  }
  while (progress.searched < window.size()) {
    const void* found = std::memchr(window.data() + progress.searched, '\n', window.size() - progress.searched);
    if (found == nullptr) {
      break;
    }
    const auto lf = static_cast<std::size_t>(static_cast<const char*>(found) - window.data());
    if (lf == progress.line_start || window[lf - 1] != '\r') {
      return bad("bad_line_end", "a line of the head ends in LF alone; end each line with CR LF");
    }
    if (lf - 1 == progress.line_start) {
      return {ParseStatus::kComplete, lf + 1, {}};
    }
    progress.searched = progress.line_start = lf + 1;
  }
  // A pair CR LF at the very front may still arrive in two pieces: look at a lone CR again.
  progress.searched = std::max(progress.line_start, window == "\r" ? 0 : window.size());
  if (bytes.size() < kMaxHeadBytes) {
    return {};
  }
  if (leading_line && progress.line_start <= 2) {
    return refuse(414, "target_too_long", "the request line does not end within 65536 bytes; use a shorter target");
  }
  return refuse(431, "head_too_large", "the head does not end within 65536 bytes; send fewer or shorter headers");
}

/// One header line, not empty, without its CR LF.
ParseResult parse_header(std::string_view line, bool obs_text, HeaderList& headers) {
  if (line.front() == ' ' || line.front() == '\t') {
    return bad("obs_fold", "a header is continued on a second line; write each header on one line");
  }
  std::size_t colon = 0;
  while (colon < line.size() && is_token_byte(line[colon])) {
    ++colon;
  }
  if (colon == 0 || colon == line.size() || line[colon] != ':') {
    return bad("bad_header",
               "a header line has no colon, or its name is empty or holds a byte that is not allowed there");
  }
  const std::string_view value = trim(line.substr(colon + 1));
  if (!all_field_bytes(value, obs_text)) {
    return bad("header_not_signable", "a header value holds a control or non-ASCII byte; encode it");
  }
  if (!headers.push({line.substr(0, colon), value})) {
    return refuse(431, "too_many_headers", "there are too many headers; send fewer");
  }
  return {ParseStatus::kComplete, 0, {}};
}

/// Splits `lines` (each ended by CR LF, none of them empty) into headers.
ParseResult parse_headers(std::string_view lines, bool obs_text, HeaderList& headers) {
  headers.clear();
  const char* at = lines.data();
  const char* const end = at + lines.size();
  while (at != end) {
    const auto* lf = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
    const ParseResult header = parse_header({at, static_cast<std::size_t>(lf - 1 - at)}, obs_text, headers);
    if (header.bad()) {
      return header;
    }
    at = lf + 1;
  }
  return {ParseStatus::kComplete, 0, {}};
}

/// "HTTP/1.0" or "HTTP/1.1".
ParseResult parse_version(std::string_view text, int& minor) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() != 8 || !text.starts_with("HTTP/") || !digit(text[5]) || text[6] != '.' || !digit(text[7])) {
    return bad("bad_request_line", "the first line does not name an HTTP version such as HTTP/1.1");
  }
  if (text[5] != '1' || text[7] > '1') {
    return refuse(505, "version_not_supported", "only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  minor = text[7] - '0';
  return {ParseStatus::kComplete, 0, {}};
}

ParseResult parse_request_line(std::string_view line, RequestHead& head) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return bad("bad_request_line", "the request line is not METHOD, target and version, with one blank between them");
  }
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  if (!is_token(head.method)) {
    return bad("bad_request_line", "the method is empty or holds a byte that is not allowed there");
  }
  const ParseResult version = parse_version(line.substr(last + 1), head.minor_version);
  if (version.bad()) {
    return version;
  }
  if (head.target.empty() || !all_target_bytes(head.target)) {
    return bad("bad_target",
               "the request target is empty or holds a blank, a control or a non-ASCII byte; percent-encode it");
  }
  return {ParseStatus::kComplete, 0, {}};
}

ParseResult parse_status_line(std::string_view line, ResponseHead& head) {
  if (parse_version(line.substr(0, 8), head.minor_version).bad()) {
    return bad("bad_status_line", "the answer does not begin with HTTP/1.1 or HTTP/1.0");
  }
  line.remove_prefix(8);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (line.size() < 4 || line[0] != ' ' || line[1] < '1' || line[1] > '5' || !digit(line[2]) || !digit(line[3]) ||
      (line.size() > 4 && line[4] != ' ')) {
    return bad("bad_status_line", "the status line has no status code between 100 and 599");
  }
  head.status = (line[1] - '0') * 100 + (line[2] - '0') * 10 + (line[3] - '0');
  head.reason = line.size() > 5 ? line.substr(5) : std::string_view{};
  if (!all_field_bytes(head.reason, true)) {
    return bad("bad_status_line", "the reason phrase holds a control byte");
  }
  return {ParseStatus::kComplete, 0, {}};
}

}  // namespace

bool detail::same_but_case(std::string_view a, std::string_view b) {
  if (a == b) {
    return true;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) {
      continue;
    }
    // Two letters that differ in case differ in this bit only.
    const int lowered = a[i] | 0x20;
    if ((a[i] ^ b[i]) != 0x20 || lowered < 'a' || lowered > 'z') {
      return false;
    }
  }
  return true;
}

bool HeaderList::push(const Header& header) {
  if (size_ == limit_) {
    return false;
  }
  items_[size_++] = header;
  return true;
}

const Header* HeaderList::find(std::string_view name) const {
  for (const Header& header : *this) {
    if (iequals(header.name, name)) {
      return &header;
    }
  }
  return nullptr;
}

std::size_t HeaderList::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(begin(), end(), [name](const Header& header) { return iequals(header.name, name); }));
}

std::string_view HeaderList::value(std::string_view name) const {
  const Header* header = find(name);
  return header != nullptr ? header->value : std::string_view{};
}

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_byte); }

bool is_signable_value(std::string_view value) { return all_field_bytes(value, false); }

ParseResult parse_request_head(std::string_view bytes, RequestHead& head, HeadProgress* progress) {
  HeadProgress fresh;
  ParseResult end = find_end(bytes, true, progress != nullptr ? *progress : fresh);
  if (!end.complete()) {
    return end;
  }
  std::string_view text = bytes.substr(0, end.consumed - 2);
  if (text.starts_with("\r\n")) {
    text.remove_prefix(2);
  }
  if (text.empty()) {
    return bad("blank_line", "there is more than one empty line, or nothing else, before the request line");
  }
  const std::size_t lf = text.find('\n');
  const ParseResult line = parse_request_line(text.substr(0, lf - 1), head);
  if (line.bad()) {
    return line;
  }
  const ParseResult headers = parse_headers(text.substr(lf + 1), false, head.headers);
  return headers.bad() ? headers : end;
}

ParseResult parse_response_head(std::string_view bytes, ResponseHead& head, HeadProgress* progress) {
  HeadProgress fresh;
  ParseResult result = find_end(bytes, false, progress != nullptr ? *progress : fresh);
  if (result.complete()) {
    const std::string_view text = bytes.substr(0, result.consumed - 2);
    const std::size_t lf = text.find('\n');
    const ParseResult line = text.empty() ? bad("blank_line", "the answer begins with an empty line")
                                          : parse_status_line(text.substr(0, lf - 1), head);
    const ParseResult headers = line.bad() ? line : parse_headers(text.substr(lf + 1), true, head.headers);
    result = headers.bad() ? headers : result;
  }
  if (result.bad()) {
    result.refusal.status = 502;
  }
  return result;
}

}  // namespace msp::http
