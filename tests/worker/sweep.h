// SPDX-License-Identifier: Apache-2.0
// Which system calls get past the filter of a worker, by number and by argument, without making any of them.
// Used by attacker.cpp, of one thread. What was not held back would be made, exit_group among it: where hold() says
// false, call no sweep().
#pragma once

#include <string>
#include <vector>

namespace msp::worker_test {

/// To be called before there is another filter: from then on a system call of a sweep fails with ENOSYS where no other
/// filter refuses it. All others are as before.
bool hold();

struct Swept {
  std::string name;
  std::string how;  ///< "EPERM": each is refused; "done": none is; "some": the names of those that are not, follow
};

/// Whatever a worker that serves has no need of. After the sweeps that let some through, a line for each of these; and
/// one for each call that a worker should be free to make and is not.
std::vector<Swept> sweep();

}  // namespace msp::worker_test
