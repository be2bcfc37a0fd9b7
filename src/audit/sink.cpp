// SPDX-License-Identifier: Apache-2.0
#include "audit/sink.h"

#include "audit/codec.h"
#include "audit/json_line.h"

namespace msp::audit {

void CollectingSink::write(const Record& record) noexcept {
  // Through the queue's form, so that texts are cut as they would be.
  std::string bytes(encoded_size(record), '\0');
  encode(record, bytes.data());
  std::string line;
  LineWriter().append(line, decode(bytes), bytes);
  line.pop_back();
  lines.push_back(std::move(line));
}

}  // namespace msp::audit
