// SPDX-License-Identifier: Apache-2.0
#include "cli/host_query.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <ostream>

#include "base/arm_document.h"
#include "cli/cli.h"
#include "cli/host_socket.h"

namespace msp::cli {
namespace {

constexpr json::Options kLimits{.max_bytes = 64 << 20, .max_nodes = 4'000'000};

}  // namespace

int host_query(const HostQuery& query, const std::vector<std::string>& arguments, std::ostream& out,
               std::ostream& err) {
  HostOptions options{.command = query.command};
  CLI::App app(
      fmt::format("{}\nExit code: 0 done, 1 refused, 2 bad usage or configuration, or the host could not be asked.",
                  query.help),
      fmt::format("{} {}", query.command, query.verb));
  add_host_options(app, options);
  std::string named;
  if (!query.name.empty()) {
    app.add_option(std::string(query.name), named, std::string(query.name_help))->required();
  }
  bool of_set = false;
  if (!query.list_of_sets.empty()) {
    app.add_flag("--scale-set", of_set, "NAME is a scale set: all of its instances");
  }
  if (const auto over = parse_host_options(app, arguments, options, out, err)) {
    return *over;
  }
  const std::string target = fmt::format("{}{}{}{}", of_set ? query.list_of_sets : query.list, named.empty() ? "" : "/",
                                         percent_encoded(named), query.suffix);
  const auto reply = ask_host(options, err, query.method, target);
  if (!reply.ok()) {
    return cannot_ask(reply.error(), options, out, err);
  }
  if (reply->status != 200) {
    return refused_with_faults(*reply, options, out, err);
  }
  const auto answer = json::parse(reply->body, kLimits);
  if (!answer.ok()) {
    return cannot_ask(bug("the host's answer cannot be read"), options, out, err);
  }
  if (options.json) {
    out << reply->body << '\n';
  } else if (query.view != nullptr) {
    out << query.view(*answer);
  } else if (const json::Value* resource = answer->find("resource"); resource != nullptr) {
    out << text_of(reply->body, *resource) << '\n';
  }
  return 0;
}

}  // namespace msp::cli
