// SPDX-License-Identifier: Apache-2.0
// crash_disk BASE JOURNAL OUT SEED: what a power loss may leave of the directory BASE after what the journal says was
// done to it. SEED 0 to 3: nothing, everything, names only, bytes only of the unsynced; more: some, at random.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/faults/crash_disk.h"

int main(int argc, char** argv) {
  using namespace msp::faults;
  if (argc != 5) {
    std::fputs("usage: crash_disk BASE JOURNAL OUT SEED\n", stderr);
    return 2;
  }
  std::ifstream file(argv[2], std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  std::string_view rest = bytes;
  CrashDisk disk(argv[1]);
  std::size_t count = 0;
  for (Event event; decode(rest, event); ++count) {
    disk.apply(event);
  }
  const auto seed = static_cast<std::uint32_t>(std::strtoul(argv[4], nullptr, 10));
  std::minstd_rand random(seed + 1);
  disk.leave(argv[3], seed < 4 ? static_cast<Left>(seed) : Left::kSome, random);
  std::printf("%zu events, %zu unsynced\n", count, disk.unsynced());
  return 0;
}
