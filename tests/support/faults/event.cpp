// SPDX-License-Identifier: Apache-2.0
// The journal's form in a file: fixed numbers, then two texts with their lengths; this machine's byte order.
#include <cstring>

#include "tests/support/faults/faults.h"

namespace msp::faults {
namespace {

struct Head {
  std::int64_t number;
  std::int32_t fd;
  std::uint32_t mode;
  std::uint32_t kind;
  std::uint32_t path_size;
  std::uint64_t text_size;
};

}  // namespace

std::string encode(const Event& event) {
  const Head head{.number = event.number,
                  .fd = event.fd,
                  .mode = event.mode,
                  .kind = static_cast<std::uint32_t>(event.kind),
                  .path_size = static_cast<std::uint32_t>(event.path.size()),
                  .text_size = event.text.size()};
  std::string bytes(sizeof head, '\0');
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes + event.path + event.text;
}

bool decode(std::string_view& bytes, Event& event) {
  Head head{};
  if (bytes.size() < sizeof head) {
    return false;
  }
  std::memcpy(&head, bytes.data(), sizeof head);
  if (bytes.size() - sizeof head < head.path_size + head.text_size) {
    return false;
  }
  bytes.remove_prefix(sizeof head);
  event = {.kind = static_cast<Event::Kind>(head.kind),
           .fd = head.fd,
           .number = head.number,
           .mode = head.mode,
           .path = std::string(bytes.substr(0, head.path_size)),
           .text = std::string(bytes.substr(head.path_size, head.text_size))};
  bytes.remove_prefix(head.path_size + head.text_size);
  return true;
}

}  // namespace msp::faults
