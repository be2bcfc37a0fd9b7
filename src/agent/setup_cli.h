// SPDX-License-Identifier: Apache-2.0
// The words of `msp-agent setup` (protocol.md H.8), apart from what they do.
// Made and used by run_cli() on the main thread; the App it is added to must outlive it.
// Wrong words are the library's ParseError; what a command cannot do is its Error.
#pragma once

#include <optional>
#include <string>

#include "agent/setup.h"
#include "base/result.h"

namespace CLI {
class App;
}

namespace msp::agent {

class SetupCli {
 public:
  explicit SetupCli(CLI::App& app);
  SetupCli(const SetupCli&) = delete;
  SetupCli& operator=(const SetupCli&) = delete;

  bool parsed() const;
  /// The exit code.
  Result<int> run(const std::optional<std::string>& config);

 private:
  SetupOptions options_;
  std::string extent_ = "service";
  std::string delete_backup_ = "true";
  bool with_state_ = false;
  bool starting_ = false;
  CLI::App* setup_;
  CLI::App* install_;
  CLI::App* uninstall_;
  CLI::App* backup_;
  CLI::App* restore_;
  CLI::App* purge_;
};

}  // namespace msp::agent
