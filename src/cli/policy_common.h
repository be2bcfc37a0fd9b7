// SPDX-License-Identifier: Apache-2.0
// What the verbs of `mspctl policy` have in common: options, input files, exit codes and the form of a complaint.
// Called by the verbs; single-threaded, blocks for file I/O.
// Input that cannot be used ends a verb with kExitUnusable; the reason and what to do go to stderr, with --json to
// stdout as well, as an object.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authoring/rule_source.h"
#include "base/net.h"
#include "base/result.h"
#include "policy/ruleset.h"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace msp::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFindings = 1;
inline constexpr int kExitUnusable = 2;

struct PolicyOptions {
  bool json = false;
  std::string matching = "enforce";
  std::string service;  ///< empty: not said

  policy::Matching matching_mode() const;
  std::optional<Service> service_wanted() const;
};

/// "imds", "wireserver" or "hostga".
std::optional<Service> parse_service(std::string_view text);
/// "off", "shadow" or "enforce".
std::optional<policy::Matching> parse_matching(std::string_view text);

/// One of the words that the option's type name lists; help need not list them again.
CLI::Validator one_of(std::vector<std::string> words);
void add_json(CLI::App& app, PolicyOptions& options);
void add_matching(CLI::App& app, PolicyOptions& options);
void add_service(CLI::App& app, PolicyOptions& options);

/// Nothing: go on. Else the exit code: help was asked for and printed, or an option is wrong and said so.
std::optional<int> parse_options(CLI::App& app, const std::vector<std::string>& arguments, PolicyOptions& options,
                                 std::ostream& out, std::ostream& err);

/// The whole file; "-" is standard input.
Result<std::string> read_input(const std::string& path, std::size_t max_bytes = std::size_t{64} << 20);
/// Rules in any form. `service`: whose they are, where the text does not say.
Result<authoring::RuleSource> load_rules(const std::string& path, std::optional<Service> service = std::nullopt);

/// One line each, escaped.
void print_remarks(const std::vector<std::string>& remarks, std::ostream& err);
/// Says what is wrong and what to do. Returns kExitUnusable.
int unusable(const Error& error, const PolicyOptions& options, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
