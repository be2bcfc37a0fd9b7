// SPDX-License-Identifier: Apache-2.0
// What the channel's bodies say to an agent: a status document, or a key document. Whatever is accepted can be written,
// and is then read as the same.
#include <string>

#include "fuzz/check.h"
#include "protocol/key.h"
#include "protocol/status.h"

using namespace msp::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = msp::fuzz::text(data, size);
  if (auto status = read_status(input)) {
    (void)state_text(*status);
    (void)key_needed(*status);
    (void)remarks(*status);
    for (const auto service : {msp::Service::kImds, msp::Service::kWireServer, msp::Service::kHostGaPlugin}) {
      FUZZ_CHECK(rule_id(*status, service).empty() || rule_item(*status, service) != nullptr);
      (void)redirect_wanted(*status, service);
      (void)mode_text(*status, service);
    }
    // Not *again == *status: what is wrong with an `openmsp` is told in words of its own, and written as unreadable.
    const auto again = read_status(write_status(*status));
    FUZZ_CHECK(again && write_status(*again) == write_status(*status));
  }
  if (const auto key = parse_key_document(input, msp::Source::kHost)) {
    FUZZ_CHECK(key->key());
    for (const auto style : {msp::json::Style::kCompact, msp::json::Style::kPretty}) {
      const auto again = parse_key_document(write_key_document(*key, style).reveal(), msp::Source::kHost);
      FUZZ_CHECK(again && again->guid == key->guid && again->issued == key->issued);
      FUZZ_CHECK(again->incarnation_id == key->incarnation_id && again->key_hex.reveal() == key->key_hex.reveal());
    }
  }
  return 0;
}
