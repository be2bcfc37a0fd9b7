// SPDX-License-Identifier: Apache-2.0
#include "cli/host_move.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <ostream>

#include "base/arm_document.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/host_socket.h"
#include "cli/host_view.h"
#include "cli/policy_common.h"

namespace msp::cli {
namespace {

constexpr json::Options kLimits{.max_bytes = 64 << 20, .max_nodes = 4'000'000};

/// Before the host is asked: what it forgets must have a place.
Result<Fd> make_file(const std::string& path) {
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) {
    Error error = errno_error("cannot make " + path, errno);
    error.hint = error.code == EEXIST ? "give a name that is free"
                                      : "name a file in a folder that is there, in which this user may write";
    return error;
  }
  return file;
}

bool write_all(const Fd& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(file.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return ::fsync(file.get()) == 0;
}

struct Export {
  HostOptions host;
  std::string machine;
  std::string recipient;
  std::string file;
};

int finish(const Export& wanted, const Fd& file, std::ostream& out, std::ostream& err) {
  json::Writer body;
  body.begin_object().field("recipient", wanted.recipient).end_object();
  const std::string target = fmt::format("/v1/virtualMachines/{}/export", percent_encoded(wanted.machine));
  const auto reply = ask_host(wanted.host, err, "POST", target, std::move(body).take());
  if (!reply.ok()) {
    return cannot_ask(reply.error(), wanted.host, out, err);
  }
  const auto answer = json::parse(reply->body, kLimits);
  if (reply->status != 200) {
    return refused_with_faults(*reply, wanted.host, out, err);
  }
  const json::Value* machine = answer.ok() ? answer->find("machine") : nullptr;
  if (machine == nullptr) {
    return cannot_ask(bug("the host's answer cannot be read"), wanted.host, out, err);
  }
  const std::string text = text_of(reply->body, *machine) + "\n";
  if (!write_all(file, text)) {
    // It is nowhere else any more.
    out << text;
    return cannot_ask(
        Error{.source = Source::kConfig,
              .message = fmt::format("{} cannot be written; what belongs in it stands on standard output", wanted.file),
              .hint = "keep it: the host has forgotten the machine",
              .code = 0},
        {.command = wanted.host.command}, out, err);
  }
  const json::Value* key = machine->at("/key/guid");
  out << fmt::format("{}: exported to {}, {}\n", log::escape(wanted.machine), wanted.file,
                     key != nullptr && key->is_string() ? "with its key " + log::escape(*key->string())
                                                        : "without a key: none was latched");
  out << "  its connections are refused here from now on; on the other host: mspctl vm import " << wanted.file << '\n';
  return 0;
}

}  // namespace

int vm_export(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  Export wanted;
  wanted.host.command = "mspctl vm";
  CLI::App app(
      "Takes a machine out of this host and writes what another host needs to go on with it, its key included, sealed\n"
      "for that host alone. Its connections are refused here from then on.\n"
      "Exit code: 0 done, 1 refused (then nothing has changed), 2 bad usage or configuration, or the host could not be "
      "asked.",
      "mspctl vm export");
  add_host_options(app, wanted.host);
  app.add_option("VM", wanted.machine, "name, vmId or resource id")->required();
  app.add_option("--to", wanted.recipient, "what mspctl key recipient prints on the other host")
      ->type_name("RECIPIENT")
      ->required();
  app.add_option("--out", wanted.file, "is made, and must not be there")->type_name("FILE")->required();
  if (const auto over = parse_host_options(app, arguments, wanted.host, out, err)) {
    return *over;
  }
  const auto file = make_file(wanted.file);
  if (!file.ok()) {
    return cannot_ask(file.error(), wanted.host, out, err);
  }
  const int code = finish(wanted, *file, out, err);
  if (code != 0) {
    ::unlink(wanted.file.c_str());
  }
  return code;
}

int vm_import(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  HostOptions host{.command = "mspctl vm"};
  CLI::App app(
      "Goes on with a machine that another host has exported for this one: its model, and its key.\n"
      "Exit code: 0 done, 1 refused (then nothing has changed), 2 bad usage or configuration, or the host could not be "
      "asked.",
      "mspctl vm import");
  add_host_options(app, host);
  std::string path;
  std::vector<std::string> addresses;
  app.add_option("FILE", path, "what mspctl vm export has written; '-' is standard input")->required();
  app.add_option("--source-address", addresses, "where its connections come from here; default: as there")
      ->type_name("IP")
      ->expected(1)
      ->take_all();
  std::string network;
  app.add_option("--network", network, "interface of this host by which its requests come in, that of a listener")
      ->type_name("NAME");
  if (const auto over = parse_host_options(app, arguments, host, out, err)) {
    return *over;
  }
  const auto text = read_input(path);
  if (!text.ok()) {
    return cannot_ask(text.error(), host, out, err);
  }
  if (const auto tree = json::parse(*text, kLimits); !tree.ok()) {
    Error error = Error(tree.error()).context(path);
    error.hint = "give the file that mspctl vm export has written";
    return cannot_ask(error, host, out, err);
  }
  std::string body = R"({"machine":)" + *text;
  if (!addresses.empty()) {
    json::Writer list;
    list.begin_array();
    for (const std::string& address : addresses) {
      list.value(address);
    }
    body += R"(,"sourceAddresses":)" + std::move(list.end_array()).take();
  }
  if (!network.empty()) {
    body += R"(,"network":)";
    json::append_json_string(body, network);
  }
  const auto reply = ask_host(host, err, "POST", "/v1/import", body + "}");
  if (!reply.ok()) {
    return cannot_ask(reply.error(), host, out, err);
  }
  const auto answer = json::parse(reply->body, kLimits);
  if (reply->status != 200) {
    return refused_with_faults(*reply, host, out, err);
  }
  if (!answer.ok()) {
    return cannot_ask(bug("the host's answer cannot be read"), host, out, err);
  }
  out << (host.json ? reply->body + "\n" : outcome_view(*answer));
  return 0;
}

}  // namespace msp::cli
