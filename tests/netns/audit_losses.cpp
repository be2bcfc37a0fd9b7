// SPDX-License-Identifier: Apache-2.0
// audit_losses DESCRIPTOR: what an agent has counted as lost, by reason, from the memory of its audit queue; the agent
// may be dead. One line each: count, reason.
#include <fmt/core.h>
#include <sys/stat.h>

#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "audit/queue.h"

int main(int argc, char** argv) {
  msp::Fd memory(argc == 2 ? std::atoi(argv[1]) : -1);  // banned-ok: a descriptor of the test's own
  struct stat about{};
  if (::fstat(memory.get(), &about) != 0) {
    return 2;
  }
  const auto bytes = static_cast<std::size_t>(about.st_size);
  auto mapped = msp::SharedMemory::map(std::move(memory), bytes);
  if (!mapped) {
    fmt::print(stderr, "{}\n", mapped.error().text());
    return 1;
  }
  const msp::audit::Queue queue({.memory = std::move(*mapped),
                                 .ring_bytes = bytes - msp::audit::QueueShare::memory_bytes(0),
                                 .event = msp::Fd()});
  std::map<std::string, std::uint64_t> sums;
  queue.losses().add_to(sums);
  for (const auto& [reason, count] : sums) {
    fmt::print("{} {}\n", count, reason);
  }
  return 0;
}
