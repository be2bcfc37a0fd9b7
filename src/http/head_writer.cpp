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

HeadWriter::HeadWriter(std::string& target) : string_(&target) {
  const std::size_t before = target.size();
  target.resize_and_overwrite(target.capacity(), [](char*, std::size_t size) { return size; });
  start_ = at_ = target.data() + before;
  end_ = target.data() + target.size();
}

bool HeadWriter::grow(std::size_t bytes) {
  if (string_ == nullptr) {
    problem_ = "a head does not fit its buffer";
    return false;
  }
  const auto start = start_ - string_->data();
  const auto used = at_ - string_->data();
  string_->reserve(static_cast<std::size_t>(used) + bytes);
  string_->resize_and_overwrite(string_->capacity(), [](char*, std::size_t size) { return size; });
  start_ = string_->data() + start;
  at_ = string_->data() + used;
  end_ = string_->data() + string_->size();
  return true;
}

void HeadWriter::release() {
  if (string_ != nullptr) {
    string_->resize(static_cast<std::size_t>(at_ - string_->data()));
    string_ = nullptr;
    end_ = at_;
  }
}

void HeadWriter::put(std::string_view bytes) {
  if (char* const at = room(bytes.size()); at != nullptr) {
    put_text(at, bytes);
  }
}

HeadWriter& HeadWriter::request_line(std::string_view method, std::string_view target) {
  if (!is_token(method) || !is_one_word(target)) {
    problem_ = "a request line holds a blank, a control byte or nothing";
    return *this;
  }
  if (char* at = room(method.size() + 1 + target.size() + kVersionAndEnd.size()); at != nullptr) {
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
  if (char* at = room(method.size() + 1 + target.path.size() + query_size + kVersionAndEnd.size()); at != nullptr) {
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
  char* at = room(name.size() + value.size() + 4);
  if (at == nullptr) {
    return *this;
  }
  if (!write_lower_token(at, name) || !is_one_line(value)) {
    problem_ = "a header has a bad name, or a line break in its value";
    at_ = at;
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
  release();
  if (!problem_.empty()) {
    return bug(std::string(problem_));
  }
  return std::string_view(start_, static_cast<std::size_t>(at_ - start_));
}

}  // namespace msp::http
