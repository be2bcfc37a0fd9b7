// SPDX-License-Identifier: Apache-2.0
// Who asks from an address that belongs to no machine, there: a copy, a machine that came from another host or by
// another network, or a stranger.
// Owned by the gateway; loop's thread; shown by the admin API.
// Bounded: of more than kMost those that asked last are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config.h"

namespace msp::gateway {

class UnknownCallers {
 public:
  static constexpr std::size_t kMost = 64;

  struct Caller {
    Ipv4Address address{};
    std::string network = {};  ///< that it came by; empty: by a listener that is bound to no interface
    std::uint64_t requests = 0;
    std::int64_t last_ns = 0;  ///< wall clock
  };

  /// True: it was not known before.
  bool asked(const Ipv4Address& address, std::string_view network, std::int64_t now_ns);
  /// It belongs to a machine now, in this network or (empty) in any.
  void forget(const Ipv4Address& address, std::string_view network);
  const std::vector<Caller>& all() const { return callers_; }

 private:
  std::vector<Caller> callers_;
};

}  // namespace msp::gateway
