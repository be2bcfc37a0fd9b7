// SPDX-License-Identifier: Apache-2.0
// What a function that can fail returns: a value or a typed Error. It must be looked at.
// Owned by the caller; any thread. No exception crosses a module border: errors travel in here.
// Error says whose fault it was (source decides status code and log level), what happened, and what to do.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace msp {

/// Whose fault an error is.
enum class Source : unsigned char { kClient, kUpstream, kHost, kKernel, kConfig, kBug };

std::string_view to_string(Source source);

struct Error {
  Source source = Source::kBug;
  std::string message;  ///< what happened, with context added on the way up
  std::string hint;     ///< what the reader can do; empty if nothing
  int code = 0;         ///< errno value, 0 if none

  /// "message (strerror): hint" for logs and terminals.
  std::string text() const;
  Error&& context(std::string_view outer) &&;
};

/// An Error of the kernel from the errno of the call that has just failed.
Error errno_error(std::string_view what, int code = errno);
Error config_error(std::string message, std::string hint = {});
Error bug(std::string message);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : x_(std::move(value)) {}                     // NOLINT(google-explicit-constructor)
  Result(Error error) : x_(std::unexpect, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return x_.has_value(); }
  bool ok() const { return x_.has_value(); }
  T& value() & { return *x_; }
  const T& value() const& { return *x_; }
  T&& value() && { return *std::move(x_); }
  T& operator*() & { return *x_; }
  const T& operator*() const& { return *x_; }
  T&& operator*() && { return *std::move(x_); }
  T* operator->() { return &*x_; }
  const T* operator->() const { return &*x_; }
  Error& error() & { return x_.error(); }
  const Error& error() const& { return x_.error(); }
  Error&& error() && { return std::move(x_).error(); }

 private:
  std::expected<T, Error> x_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : x_(std::unexpect, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return x_.has_value(); }
  bool ok() const { return x_.has_value(); }
  Error& error() & { return x_.error(); }
  const Error& error() const& { return x_.error(); }
  Error&& error() && { return std::move(x_).error(); }

 private:
  std::expected<void, Error> x_;
};

}  // namespace msp
