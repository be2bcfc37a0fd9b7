// SPDX-License-Identifier: Apache-2.0
#include "cli/host_backup.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <ostream>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/host_socket.h"

namespace msp::cli {

int host_backup(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  HostOptions options{.command = "mspctl host"};
  CLI::App app(
      "Writes the database of a running host to a file: models, and keys, which are sealed.\n"
      "Exit code: 0 done, 1 refused, 2 bad usage or configuration, or it could not be asked or written.",
      "mspctl host backup");
  add_host_options(app, options);
  std::string path;
  app.add_option("FILE", path, "where to write it; replaced if it is there")->required();
  if (const auto over = parse_host_options(app, arguments, options, out, err)) {
    return *over;
  }
  const auto reply = ask_host(options, err, "POST", "/v1/backup");
  if (!reply.ok()) {
    return cannot_ask(reply.error(), options, out, err);
  }
  if (reply->status != 200) {
    return refused(*reply, options, out, err);
  }
  std::error_code failure;
  const std::string full = std::filesystem::absolute(path, failure).string();
  if (auto written = file::replace(full, reply->body); !written.ok()) {
    Error error = std::move(written).error();
    if (error.hint.empty()) {
      error.hint = "name a file in a folder that is there, in which this user may write";
    }
    return cannot_ask(error, options, out, err);
  }
  if (options.json) {
    json::Writer writer;
    writer.begin_object().field("file", full).field("bytes", std::uint64_t{reply->body.size()}).end_object();
    out << std::move(writer).take() << '\n';
  } else {
    out << fmt::format("{}: {} bytes\n", log::escape(full), reply->body.size())
        << "keep the master key of the host elsewhere: with both, keys are open\n";
  }
  return 0;
}

}  // namespace msp::cli
