// SPDX-License-Identifier: Apache-2.0
// Messages between monitor and worker, in either direction. Whatever is read can be written, and is then the same
// bytes: there is one way to say a thing, and nothing in a message is passed over. Its records of the audit queue as
// well: what is taken for one lies within its bytes.
#include <string>

#include "audit/codec.h"
#include "fuzz/check.h"
#include "link/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = msp::fuzz::text(data, size);
  if (const auto message = msp::link::decode_to_monitor(input)) {
    FUZZ_CHECK(msp::link::encode(message->message, message->number) == input);
  }
  if (const auto message = msp::link::decode_to_worker(input)) {
    FUZZ_CHECK(msp::link::encode(message->message, message->number) == input);
    FUZZ_CHECK(msp::link::descriptors_of(message->message) <= 3);
  }
  const std::span<const char> bytes(input.data(), input.size());
  if (msp::audit::well_formed(bytes)) {
    const msp::audit::Record record = msp::audit::decode(bytes);
    for (const std::string_view text :
         {record.service, record.target, record.exe, record.key_guid, record.dry_run_identity}) {
      FUZZ_CHECK(msp::fuzz::inside(text, input));
    }
    FUZZ_CHECK(msp::audit::encoded_size(record) <= input.size());
  }
  return 0;
}
