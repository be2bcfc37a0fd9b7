// SPDX-License-Identifier: Apache-2.0
// What agent and host read of each other beyond the field's protocol: asks, nonce, caller. Whatever is accepted has one
// form, but for the caller's words that are not known.
#include <string>

#include "fuzz/check.h"
#include "protocol/extensions.h"

using namespace msp::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = msp::fuzz::text(data, size);
  const Asks asks = parse_asks(input);
  FUZZ_CHECK(parse_asks(format_asks(asks)) == asks);

  if (const auto nonce = parse_nonce(input)) {
    char text[kMostNonceSize];
    FUZZ_CHECK(format_nonce(*nonce, text) == input);
  }
  if (const auto caller = parse_caller(input)) {
    std::string text;
    format_caller({.uid = caller->uid,
                   .user = caller->user,
                   .executable = caller->executable,
                   .process = caller->process,
                   .unit = caller->unit,
                   .denied = caller->denied},
                  text);
    FUZZ_CHECK(parse_caller(text) == caller);
  }
  return 0;
}
