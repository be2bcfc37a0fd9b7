// SPDX-License-Identifier: Apache-2.0
// The users, groups, programs and systemd units of the machine that a tool runs on.
// Owned by one verb, one thread; look-ups may block.
// What cannot be looked at counts as missing.
#pragma once

#include <string>
#include <utility>

#include "authoring/lint.h"

namespace msp::cli {

class ThisMachine final : public authoring::Machine {
 public:
  /// `root`: the folder that units are looked for below, "" for the machine itself.
  explicit ThisMachine(std::string root = {}) : root_(std::move(root)) {}

  bool has_user(const std::string& name) override;
  bool has_group(const std::string& name) override;
  Program program(const std::string& path) override;
  Unit unit(const std::string& name) override;

 private:
  std::string root_;
};

}  // namespace msp::cli
