// SPDX-License-Identifier: Apache-2.0
#include "audit/request_id.h"

#include "base/crypto.h"

namespace msp::audit {
namespace {

constexpr std::size_t kDigits = 12;
constexpr std::uint64_t kPrefixMask = (std::uint64_t{1} << 48) - 1;

void put_hex(char* out, std::uint64_t value) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (std::size_t i = kDigits; i-- > 0; value >>= 4) {
    out[i] = kHex[value & 0xF];
  }
}

}  // namespace

RequestId::Text RequestId::text() const {
  static_assert(kTextSize == 2 * kDigits + 1);
  Text out;
  put_hex(out.data(), prefix);
  out[kDigits] = '-';
  put_hex(out.data() + kDigits + 1, number);
  return out;
}

Result<RequestIds> RequestIds::create() {
  std::uint64_t prefix = 0;
  if (auto filled = random_bytes({reinterpret_cast<std::uint8_t*>(&prefix), sizeof prefix}); !filled) {
    return std::move(filled).error();
  }
  return RequestIds(prefix & kPrefixMask);
}

}  // namespace msp::audit
