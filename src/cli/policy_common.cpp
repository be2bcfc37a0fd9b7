// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_common.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <istream>
#include <ostream>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/input_file.h"

namespace msp::cli {
namespace {

/// Lines stay lines: some errors list several.
std::string escaped_lines(std::string_view text) {
  std::string out;
  while (true) {
    const std::size_t end = text.find('\n');
    out += log::escape(text.substr(0, end));
    if (end == std::string_view::npos) {
      return out;
    }
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

Result<std::string> read_all(std::istream& in, const std::string& name, std::size_t max_bytes) {
  std::string out;
  std::array<char, 65536> chunk;
  while (in.read(chunk.data(), chunk.size()) || in.gcount() > 0) {
    out.append(chunk.data(), static_cast<std::size_t>(in.gcount()));
    if (out.size() > max_bytes) {
      return config_error(fmt::format("{} is larger than {} MiB", name, max_bytes >> 20), "give a smaller file");
    }
  }
  if (in.bad()) {
    return errno_error("read " + name);
  }
  return out;
}

}  // namespace

policy::Matching PolicyOptions::matching_mode() const {
  return parse_matching(matching).value_or(policy::Matching::kEnforce);
}

std::optional<Service> PolicyOptions::service_wanted() const { return parse_service(service); }

std::optional<Service> parse_service(std::string_view text) {
  for (const Service service : {Service::kImds, Service::kWireServer, Service::kHostGaPlugin}) {
    if (text == to_string(service)) {
      return service;
    }
  }
  return std::nullopt;
}

std::optional<policy::Matching> parse_matching(std::string_view text) {
  for (const auto matching : {policy::Matching::kOff, policy::Matching::kShadow, policy::Matching::kEnforce}) {
    if (text == policy::to_string(matching)) {
      return matching;
    }
  }
  return std::nullopt;
}

CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::Validator(CLI::IsMember(std::move(words))).description("");
}

void add_json(CLI::App& app, PolicyOptions& options) {
  app.add_flag("--json", options.json, "for programs: docs/mspctl-policy.md");
}

void add_matching(CLI::App& app, PolicyOptions& options) {
  app.add_option("--matching", options.matching, "canonicalRequestMode of the agent")
      ->type_name("off|shadow|enforce")
      ->check(one_of({"off", "shadow", "enforce"}))
      ->capture_default_str();
}

void add_service(CLI::App& app, PolicyOptions& options) {
  app.add_option("--service", options.service, "whose rules these are, or who is asked")
      ->type_name("imds|wireserver|hostga")
      ->check(one_of({"imds", "wireserver", "hostga"}));
}

std::optional<int> parse_options(CLI::App& app, const std::vector<std::string>& arguments, PolicyOptions& options,
                                 std::ostream& out, std::ostream& err) {
  try {
    parse_arguments(app, arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return app.exit(error, out, err);
    }
    options.json = std::ranges::find(arguments, "--json") != arguments.end();
    return unusable(config_error(error.what(), fmt::format("see {} --help", app.get_name())), options, out, err);
  }
  return std::nullopt;
}

Result<std::string> read_input(const std::string& path, std::size_t max_bytes) {
  std::string text;
  auto done = with_input(path, [&](std::istream& in, const std::string& name) -> Result<void> {
    auto all = read_all(in, name, max_bytes);
    if (!all) {
      return std::move(all).error();
    }
    text = *std::move(all);
    return {};
  });
  if (!done) {
    return std::move(done).error();
  }
  return text;
}

Result<authoring::RuleSource> load_rules(const std::string& path, std::optional<Service> service) {
  auto text = read_input(path);
  if (!text) {
    return std::move(text).error();
  }
  auto rules = authoring::read_rules(*std::move(text), path == "-" ? "standard input" : path);
  if (rules && service) {
    rules->assign(*service);
  }
  return rules;
}

void print_remarks(const std::vector<std::string>& remarks, std::ostream& err) {
  for (const std::string& remark : remarks) {
    err << "note: " << log::escape(remark) << '\n';
  }
}

int unusable(const Error& error, const PolicyOptions& options, std::ostream& out, std::ostream& err) {
  Error bare = error;
  bare.hint.clear();
  if (options.json) {
    json::Writer writer;
    writer.begin_object().field("error", bare.text()).field("remedy", error.hint).end_object();
    out << std::move(writer).take() << '\n';
  }
  err << "mspctl policy: " << escaped_lines(bare.text()) << '\n';
  if (!error.hint.empty()) {
    err << "  -> " << escaped_lines(error.hint) << '\n';
  }
  return kExitUnusable;
}

}  // namespace msp::cli
