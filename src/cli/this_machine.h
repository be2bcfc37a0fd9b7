// SPDX-License-Identifier: Apache-2.0
// The users, groups and programs of the machine that a tool runs on.
// Owned by one verb, one thread; look-ups may block.
// What cannot be looked at counts as missing.
#pragma once

#include "authoring/lint.h"

namespace msp::cli {

class ThisMachine final : public authoring::Machine {
 public:
  bool has_user(const std::string& name) override;
  bool has_group(const std::string& name) override;
  Program program(const std::string& path) override;
};

}  // namespace msp::cli
