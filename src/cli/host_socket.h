// SPDX-License-Identifier: Apache-2.0
// What the verbs that talk to msp-host have in common: where its admin socket is, asking it, and how a complaint looks.
// Called by the verbs; single-threaded, blocks.
// A host that cannot be asked ends a verb with kExitCannotTell, one that says no with kExitRefused; reason and remedy
// go to stderr, with --json an object goes to stdout on every way out.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "cli/control_client.h"

namespace CLI {
class App;
}

namespace msp::cli {

inline constexpr int kExitRefused = 1;
inline constexpr const char* kHostConfig = "/etc/msp-host/msp-host.json";

struct HostOptions {
  std::string_view command;  ///< "mspctl vm", for messages
  bool json = false;
  std::string config = {};
  std::string socket = {};
  std::uint32_t wait_seconds = 5;  ///< for a host that is not there: it may be restarting
};

void add_host_options(CLI::App& app, HostOptions& options);
/// Nothing: go on. Else the exit code: help was printed, or an option is wrong and said so.
std::optional<int> parse_host_options(CLI::App& app, const std::vector<std::string>& arguments, HostOptions& options,
                                      std::ostream& out, std::ostream& err);

/// `adminSocket` of a configuration of msp-host. Nothing else of the file is looked at.
Result<std::string> admin_socket_of(const std::string& config_path);

/// What the host answers, whatever it is; an error says what to do. One that is not there is waited for, with a word on
/// `err`; what may have reached one that then went away is sent again only if it is a GET.
Result<Reply> ask_host(const HostOptions& options, std::ostream& err, std::string_view method, std::string_view target,
                       std::string_view body = {});
/// One segment of a path.
std::string percent_encoded(std::string_view text);

/// Both say it and return the exit code.
int cannot_ask(const Error& error, const HostOptions& options, std::ostream& out, std::ostream& err);
int refused(const Reply& reply, const HostOptions& options, std::ostream& out, std::ostream& err);
/// What is said before a fault: where it is.
using FaultPlace = std::function<std::string(const json::Value& fault)>;
/// The same, and all faults of a change with their remedies.
int refused_with_faults(const Reply& reply, const HostOptions& options, std::ostream& out, std::ostream& err,
                        const FaultPlace& place = {});

}  // namespace msp::cli
