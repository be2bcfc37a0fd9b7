// SPDX-License-Identifier: Apache-2.0
// Values as bytes between monitor and worker, and back. One list of members (a function fields(visitor, message))
// serves both directions, so that they cannot differ. Values with one owner; any thread. Both ends run on one machine:
// numbers are in its byte order. Reading never goes beyond the bytes: what does not fit makes the reader bad, and it
// stays so.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/net.h"
#include "base/secret.h"

namespace msp::link {

template <class T>
concept Number = std::unsigned_integral<T> || std::signed_integral<T>;

class Writer {
 public:
  static constexpr bool kReads = false;
  explicit Writer(std::string& out) : out_(out) {}

  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  template <class E, E Last>
  void ranged(const E& value) {
    put(static_cast<std::uint8_t>(value));
  }

 private:
  template <Number T>
  void put(const T& value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(const bool& value) { put(static_cast<std::uint8_t>(value)); }
  void put(const std::string& text) {
    put(static_cast<std::uint32_t>(text.size()));
    out_ += text;
  }
  void put(const Secret& secret) {
    put(static_cast<std::uint32_t>(secret.size()));
    out_ += secret.reveal();
  }
  void put(const Ipv4Endpoint& at) {
    out_.append(reinterpret_cast<const char*>(at.address.data()), at.address.size());
    put(at.port);
  }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) {
      put(*value);
    }
  }
  template <class T>
  void put(const std::vector<T>& values) {
    put(static_cast<std::uint32_t>(values.size()));
    for (const T& value : values) {
      put(value);
    }
  }
  template <class T, std::size_t N>
  void put(const std::array<T, N>& values) {
    for (const T& value : values) {
      put(value);
    }
  }
  template <class T>
    requires requires(Writer& w, T& t) { fields(w, t); }
  void put(const T& message) {
    fields(*this, const_cast<T&>(message));
  }

  std::string& out_;
};

class Reader {
 public:
  static constexpr bool kReads = true;
  explicit Reader(std::string_view in) : in_(in) {}

  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  template <class E, E Last>
  void ranged(E& value) {
    std::uint8_t byte = 0;
    get(byte);
    good_ = good_ && byte <= static_cast<std::uint8_t>(Last);
    value = good_ ? static_cast<E>(byte) : E{};
  }
  /// Everything fitted, and nothing is left.
  bool done() const { return good_ && in_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    good_ = good_ && size <= in_.size();
    const std::string_view out = good_ ? in_.substr(0, size) : std::string_view();
    in_.remove_prefix(out.size());
    return out;
  }
  template <Number T>
  void get(T& value) {
    const std::string_view bytes = take(sizeof value);
    if (good_) {
      bytes.copy(reinterpret_cast<char*>(&value), sizeof value);
    }
  }
  void get(bool& value) {
    std::uint8_t byte = 0;
    get(byte);
    good_ = good_ && byte <= 1;
    value = byte == 1;
  }
  std::string_view counted() {
    std::uint32_t size = 0;
    get(size);
    return take(size);
  }
  void get(std::string& text) { text = counted(); }
  void get(Secret& secret) { secret = Secret::copy_of(counted()); }
  void get(Ipv4Endpoint& at) {
    const std::string_view bytes = take(at.address.size());
    if (good_) {
      bytes.copy(reinterpret_cast<char*>(at.address.data()), at.address.size());
    }
    get(at.port);
  }
  template <class T>
  void get(std::optional<T>& value) {
    bool there = false;
    get(there);
    if (good_ && there) {
      get(value.emplace());
    }
  }
  template <class T>
  void get(std::vector<T>& values) {
    std::uint32_t count = 0;
    get(count);
    // Each takes a byte at least: no count makes us reserve more than was sent.
    good_ = good_ && count <= in_.size();
    for (std::uint32_t i = 0; good_ && i < count; ++i) {
      get(values.emplace_back());
    }
  }
  template <class T, std::size_t N>
  void get(std::array<T, N>& values) {
    for (T& value : values) {
      get(value);
    }
  }
  template <class T>
    requires requires(Reader& r, T& t) { fields(r, t); }
  void get(T& message) {
    fields(*this, message);
  }

  std::string_view in_;
  bool good_ = true;
};

}  // namespace msp::link
