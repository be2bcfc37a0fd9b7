// SPDX-License-Identifier: Apache-2.0
#include "http/linger.h"

namespace msp::http {

Task<void> linger(Stream& stream, Buffer& scratch, Deadline deadline, std::size_t max_bytes) {
  stream.shutdown_write();
  std::size_t dropped = 0;
  while (dropped < max_bytes) {
    scratch.clear();
    const IoResult read = co_await stream.read_some(scratch.writable(), deadline);
    if (!read.ok()) {
      break;
    }
    dropped += read.bytes;
  }
}

}  // namespace msp::http
