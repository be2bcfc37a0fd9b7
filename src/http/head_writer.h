// SPDX-License-Identifier: Apache-2.0
// Writes a request or response head, append only, into memory of the caller. Header names go out in lower case.
// Owned by the function that writes; any thread. No allocation while the target's capacity suffices.
// CR, LF or NUL in anything written, a bad name, or a full fixed target make finish() return a BUG error: nothing that
// could split a message leaves, whatever the caller passes on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/head.h"
#include "http/target.h"

namespace msp::http {

class HeadWriter {
 public:
  /// Fixed memory: never grows.
  explicit HeadWriter(std::span<char> target) : start_(target.data()), at_(start_), end_(start_ + target.size()) {}
  /// Appends to `target` (reserve once, clear and use it again), which is the writer's until finish() or its end.
  explicit HeadWriter(std::string& target);
  HeadWriter(const HeadWriter&) = delete;
  HeadWriter& operator=(const HeadWriter&) = delete;
  ~HeadWriter() { release(); }

  /// "METHOD target HTTP/1.1".
  HeadWriter& request_line(std::string_view method, std::string_view target);
  /// The same in origin-form from parsed parts.
  HeadWriter& request_line(std::string_view method, const Target& target);
  /// "HTTP/1.x status reason"; an empty reason becomes the standard phrase.
  HeadWriter& status_line(int status, int minor_version = 1, std::string_view reason = {});
  HeadWriter& header(std::string_view name, std::string_view value);
  HeadWriter& header(std::string_view name, std::uint64_t value);
  /// Whole header lines that a HeadWriter wrote before: appended unchecked.
  HeadWriter& written_lines(std::string_view lines) {
    put(lines);
    return *this;
  }
  /// False as soon as anything could not be written.
  bool good() const { return problem_.empty(); }
  /// Ends the head with an empty line. The view is what this writer wrote; a string target may then take a body.
  [[nodiscard]] Result<std::string_view> finish();

 private:
  void put(std::string_view bytes);
  /// Room for so many bytes, which the caller writes; null: there is none.
  char* room(std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - at_) < bytes && !grow(bytes)) {
      return nullptr;
    }
    char* const at = at_;
    at_ += bytes;
    return at;
  }
  bool grow(std::size_t bytes);
  void release();

  // While it is written, a string is as large as its capacity.
  std::string* string_ = nullptr;
  char* start_;
  char* at_;
  char* end_;
  std::string_view problem_;
};

}  // namespace msp::http
