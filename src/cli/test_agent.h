// SPDX-License-Identifier: Apache-2.0
// An agent's control socket on a thread of its own, and mspctl run beside it as a person would.
// Owned by one test; the socket goes with it.
// A socket that cannot be made fails the test.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "cli/test_files.h"
#include "http/buffer.h"
#include "status/control_server.h"

namespace msp::cli {

inline Outcome call(const std::vector<std::string>& arguments) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = run(arguments, out, err);
  return {code, out.str(), err.str()};
}

class TestAgent : public testing::Test {
 protected:
  TestAgent() {
    std::string name = "/tmp/msp-cli-XXXXXX";
    directory = ::mkdtemp(name.data());
    socket = directory + "/agent.sock";
  }
  ~TestAgent() override {
    if (agent.joinable()) {
      loop.stop();
      agent.join();
    }
    server.reset();
    std::filesystem::remove_all(directory);
  }
  void serve(const status::Snapshot& snapshot, const status::RulesInForce& rules = {}) {
    server = std::make_unique<status::ControlServer>(
        loop, buffers,
        status::ControlServer::Sources{.status = [snapshot] { return snapshot; }, .rules = [rules] { return rules; }});
    ASSERT_TRUE(server->listen(socket).ok());
    agent = std::thread([this] { loop.run(); });
  }

  Loop loop;
  http::BufferPool buffers;
  std::unique_ptr<status::ControlServer> server;
  std::thread agent;
  std::string directory;
  std::string socket;
};

}  // namespace msp::cli
