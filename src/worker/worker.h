// SPDX-License-Identifier: Apache-2.0
// msp-worker: the data plane as a process of its own that can do nothing but serve. It parses what clients send, so it
// holds no privilege: no file system, no way to make or connect a socket, no other process, no bpf().
// run() is the whole program; the monitor starts it with its end of the link as descriptor 3.
// Any failure, and the end of the monitor, ends it: connections then wait in the listener, which the monitor holds,
// too.
#pragma once

#include <functional>

namespace msp::worker {

/// `inside` runs once when the worker is confined and serves; it is for a test that becomes an attacker there.
int run(const std::function<void()>& inside = {});

}  // namespace msp::worker
