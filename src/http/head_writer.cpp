// SPDX-License-Identifier: Apache-2.0
#include "http/head_writer.h"

#include <array>
#include <charconv>

#include "base/text_bytes.h"
#include "http/status.h"
#include "http/token.h"

namespace msp::http {
namespace {

constexpr std::string_view kVersionAndEnd = " HTTP/1.1\r\n";

/// A part of the first line: one blank more and it would be another line.
bool is_one_word(std::string_view text) {
  unsigned bad = text.empty() ? 1 : 0;
  for (const char c : text) {
    bad |= static_cast<unsigned>((static_cast<unsigned char>(c) <= 0x20U) | (c == 0x7F));
  }
  return bad == 0;
}

}  // namespace

char* HeadWriter::grow(std::size_t bytes) {
  if (string_ != nullptr) {
    const std::size_t at = string_->size();
    const std::size_t size = at + bytes;
    // The caller writes all of it.
    string_->resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
    return string_->data() + at;
  }
  if (fixed_.size() - used_ < bytes) {
    problem_ = "a head does not fit its buffer";
    return nullptr;
  }
  char* const at = fixed_.data() + used_;
  used_ += bytes;
  return at;
}

void HeadWriter::take_back(std::size_t bytes) {
  if (string_ != nullptr) {
    string_->resize(string_->size() - bytes);
  } else {
    used_ -= bytes;
  }
}

void HeadWriter::put(std::string_view bytes) {
  if (char* const at = grow(bytes.size()); at != nullptr) {
    put_text(at, bytes);
  }
}

HeadWriter& HeadWriter::request_line(std::string_view method, std::string_view target) {
  if (!is_token(method) || !is_one_word(target)) {
    problem_ = "a request line holds a blank, a control byte or nothing";
    return *this;
  }
  if (char* at = grow(method.size() + 1 + target.size() + kVersionAndEnd.size()); at != nullptr) {
    at = put_text(at, method);
    *at++ = ' ';
    put_text(put_text(at, target), kVersionAndEnd);
  }
  return *this;
}

HeadWriter& HeadWriter::request_line(std::string_view method, const Target& target) {
  if (!is_token(method) || !is_one_word(target.path) || (!target.query.empty() && !is_one_word(target.query))) {
    problem_ = "a request line holds a blank, a control byte or nothing";
    return *this;
  }
  const std::size_t query_size = target.has_query ? target.query.size() + 1 : 0;
  if (char* at = grow(method.size() + 1 + target.path.size() + query_size + kVersionAndEnd.size()); at != nullptr) {
    at = put_text(at, method);
    *at++ = ' ';
    at = put_text(at, target.path);
    if (target.has_query) {
      *at++ = '?';
      at = put_text(at, target.query);
    }
    put_text(at, kVersionAndEnd);
  }
  return *this;
}

HeadWriter& HeadWriter::status_line(int status, int minor_version, std::string_view reason) {
  if (status < 100 || status > 999 || !is_one_line(reason)) {
    problem_ = "a status line holds a line break or a bad status";
    return *this;
  }
  std::array<char, 13> line = {'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', '0', '0', '0', ' '};
  line[7] = minor_version == 0 ? '0' : '1';
  line[9] = static_cast<char>('0' + status / 100);
  line[10] = static_cast<char>('0' + status / 10 % 10);
  line[11] = static_cast<char>('0' + status % 10);
  put({line.data(), line.size()});
  put(reason.empty() ? reason_phrase(status) : reason);
  put("\r\n");
  return *this;
}

HeadWriter& HeadWriter::header(std::string_view name, std::string_view value) {
  char* at = grow(name.size() + value.size() + 4);
  if (at == nullptr) {
    return *this;
  }
  if (!write_lower_token(at, name) || !is_one_line(value)) {
    problem_ = "a header has a bad name, or a line break in its value";
    take_back(name.size() + value.size() + 4);
    return *this;
  }
  at += name.size();
  *at++ = ':';
  *at++ = ' ';
  at = put_text(at, value);
  *at++ = '\r';
  *at = '\n';
  return *this;
}

HeadWriter& HeadWriter::header(std::string_view name, std::uint64_t value) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return header(name, std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
}

Result<std::string_view> HeadWriter::finish() {
  put("\r\n");
  if (!problem_.empty()) {
    return bug(std::string(problem_));
  }
  if (string_ != nullptr) {
    return std::string_view(*string_).substr(start_);
  }
  return std::string_view(fixed_.data(), used_);
}

}  // namespace msp::http
