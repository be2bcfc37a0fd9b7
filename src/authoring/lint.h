// SPDX-License-Identifier: Apache-2.0
// Looks through rules for what an author did not mean: mistakes that the agent silently forgives, and holes.
// Pure; any thread. What the machine has (users, files) comes through Machine.
// Rules that the agent would refuse to read are findings as well, and `unreadable` tells so; the rest is looked at all
// the same. Text that is no JSON, or rules in no known form, are an Error.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "authoring/finding.h"
#include "authoring/rule_text.h"
#include "base/result.h"
#include "policy/ruleset.h"

namespace msp::authoring {

/// The agent that will read the rules. kField: it knows nothing of our own members and matches by `legacy` always.
enum class Target : std::uint8_t { kOpenMsp, kField };

/// What identities can be compared with. Implemented by the assembly; calls may block.
class Machine {
 public:
  enum class Program : std::uint8_t { kFound, kMissing, kNotRunnable, kScript, kLink };
  struct Unit {
    bool found = false;
    std::string name;  ///< under which it runs: another one than asked for if that is an alias
  };

  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  virtual ~Machine() = default;

  virtual bool has_user(const std::string& name) = 0;
  virtual bool has_group(const std::string& name) = 0;
  /// kLink: the path leads to a program through a symbolic link.
  virtual Program program(const std::string& path) = 0;
  /// A systemd unit that has a file here; an instance has one if its template has. Not found: also one that is masked.
  virtual Unit unit(const std::string& name) = 0;
};

struct LintOptions {
  Target target = Target::kOpenMsp;
  policy::Matching matching = policy::Matching::kEnforce;  ///< of the agent; with kField it is as if kOff
  Machine* machine = nullptr;                              ///< null: do not look
};

struct LintReport {
  std::vector<Finding> findings;
  std::vector<std::string> remarks;  ///< what the reader of the rules says of them, with places
  std::array<std::size_t, kSeverityCount> counts{};
  bool unreadable = false;  ///< the agent would refuse the text as a whole

  std::size_t count(Severity severity) const { return counts[static_cast<std::size_t>(severity)]; }
};

Result<LintReport> lint(const RuleText& text, const LintOptions& options);

}  // namespace msp::authoring
