// SPDX-License-Identifier: Apache-2.0
// Chunked bodies: decoding in pieces gives what decoding at once gives, and what was decoded reads back when encoded
// again. The first byte of an input says how the rest is cut.
#include <string>

#include "fuzz/check.h"
#include "http/chunked.h"

namespace {

using msp::http::ChunkedDecoder;
using Event = ChunkedDecoder::Event;

struct Decoded {
  std::string data;
  Event end = Event::kNeedMore;
  std::string_view code;
  std::size_t consumed = 0;
};

Decoded decode(std::string_view input, std::size_t piece_size) {
  ChunkedDecoder decoder;
  Decoded out;
  while (out.consumed < input.size()) {
    const std::string_view piece = input.substr(out.consumed, piece_size);
    const ChunkedDecoder::Step step = decoder.next(piece);
    FUZZ_CHECK(step.consumed <= piece.size());
    FUZZ_CHECK(msp::fuzz::inside(step.data, piece.substr(0, step.consumed)));
    FUZZ_CHECK((step.event == Event::kData) == !step.data.empty());
    out.consumed += step.consumed;
    out.data += step.data;
    out.end = step.event == Event::kData ? Event::kNeedMore : step.event;
    out.code = step.refusal.code;
    if (step.event == Event::kNeedMore) {
      FUZZ_CHECK(step.consumed == piece.size());
    } else if (step.event != Event::kData) {
      FUZZ_CHECK(decoder.done() == (step.event == Event::kEnd));
      break;
    }
  }
  return out;
}

std::string encode(std::string_view data, std::size_t chunk_size) {
  std::string out;
  while (!data.empty()) {
    const std::string_view chunk = data.substr(0, chunk_size);
    data.remove_prefix(chunk.size());
    char size[20];
    std::snprintf(size, sizeof(size), "%zx\r\n", chunk.size());
    out.append(size).append(chunk).append("\r\n");
  }
  return out + "0\r\n\r\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::size_t step = data[0] % 17 + 1U;
  const std::string_view input = msp::fuzz::text(data + 1, size - 1);
  const Decoded whole = decode(input, input.size());
  for (const std::size_t piece : {std::size_t{1}, step}) {
    const Decoded parts = decode(input, piece);
    FUZZ_CHECK(parts.data == whole.data && parts.end == whole.end);
    FUZZ_CHECK(parts.consumed == whole.consumed && parts.code == whole.code);
  }
  if (whole.end == Event::kEnd) {
    const std::string wire = encode(whole.data, step);
    const Decoded again = decode(wire, wire.size());
    FUZZ_CHECK(again.end == Event::kEnd && again.data == whole.data && again.consumed == wire.size());
  }
  return 0;
}
