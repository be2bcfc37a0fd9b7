// SPDX-License-Identifier: Apache-2.0
// Bytes that must not leave: keys. Wiped when they die, kept out of swap and core files, not printable.
// Move-only, one owner; any thread, one at a time. Each lives on memory pages of its own: make few, keep them long.
// Locking is best effort (RLIMIT_MEMLOCK); no memory at all is std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace msp {

class Secret {
 public:
  Secret() = default;
  /// `size` zero bytes.
  explicit Secret(std::size_t size);
  /// Copies; the source is the caller's to wipe.
  static Secret copy_of(std::span<const std::uint8_t> bytes);
  static Secret copy_of(std::string_view bytes);
  /// Hex digits of either case, an even number, at least two. The error never quotes the text.
  static Result<Secret> from_hex(std::string_view text);

  Secret(Secret&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(); }

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  std::span<std::uint8_t> writable() { return {data_, size_}; }
  /// The bytes as text, for parsing or writing a key file; never keep a copy.
  std::string_view reveal() const { return {reinterpret_cast<const char*>(data_), size_}; }

  Secret clone() const { return copy_of(bytes()); }
  /// Lower-case hex digits, a secret again.
  Secret to_hex() const;
  /// Keeps the first `size` bytes.
  void truncate(std::size_t size);
  void wipe();

  /// Constant time for equal sizes.
  friend bool operator==(const Secret& a, const Secret& b);
  friend std::ostream& operator<<(std::ostream&, const Secret&) = delete;

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Overwrites and empties text that held a secret.
void wipe(std::string& text);

}  // namespace msp
