// SPDX-License-Identifier: Apache-2.0
#include "worker/line_sink.h"

#include <algorithm>
#include <utility>

namespace msp::worker {

void LineSink::write(log::Level level, const std::string& text, log::Fields fields) {
  link::Line line{.level = level, .text = text.substr(0, link::Line::kMostText), .fields = {}};
  for (const JournalField& field : fields.first(std::min(fields.size(), link::Line::kMostFields))) {
    line.fields.push_back({.name = std::string(field.name), .value = field.value.substr(0, link::Line::kMostText)});
  }
  // At once on its own thread: it may be the last word.
  if (std::this_thread::get_id() == thread_) {
    (void)send_(line);
  } else {
    loop_.post([this, line = std::move(line)] { (void)send_(line); });
  }
}

}  // namespace msp::worker
