// SPDX-License-Identifier: Apache-2.0
// Request ids: unique, cheap, the same in the audit record, the log and the answer to the client.
// One RequestIds a process start, used by its data loop; RequestId is a value.
// Making RequestIds can fail if the kernel gives no random bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace msp::audit {

struct RequestId {
  std::uint64_t prefix = 0;  ///< 48 random bits of this start
  std::uint64_t number = 0;  ///< counts from 1

  static constexpr std::size_t kTextSize = 25;
  using Text = std::array<char, kTextSize>;
  /// "5b1e4d578a90-00000000002a".
  Text text() const;
};

inline std::string_view view(const RequestId::Text& text) { return {text.data(), text.size()}; }

class RequestIds {
 public:
  static Result<RequestIds> create();
  explicit RequestIds(std::uint64_t prefix) : prefix_(prefix) {}
  std::uint64_t prefix() const { return prefix_; }
  RequestId next() { return {prefix_, ++number_}; }

 private:
  std::uint64_t prefix_;
  std::uint64_t number_ = 0;
};

}  // namespace msp::audit
