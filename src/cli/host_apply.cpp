// SPDX-License-Identifier: Apache-2.0
#include "cli/host_apply.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <ostream>

#include "authoring/lint.h"
#include "base/arm_document.h"
#include "base/ascii.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/host_socket.h"
#include "cli/host_view.h"
#include "cli/policy_common.h"

namespace msp::cli {
namespace {

/// Where a resource of the request came from.
struct Origin {
  std::string file;
  std::string pointer;
};

struct Job {
  HostOptions host;
  bool dry_run = false;
  bool profiles_only = false;
  std::vector<std::string> files = {};
  std::vector<std::string> addresses = {};   ///< of a scale set: INSTANCE=IP
  std::vector<std::string> interfaces = {};  ///< the same
  std::vector<std::string> networks = {};    ///< the same; one for a machine
  bool model_addresses = false;
  bool any_network = false;
  bool scale_sets = false;

  std::size_t placed = 0;  ///< of what was given for machines: for how much one was found
  std::string body = {};
  std::vector<Origin> origins = {};
  std::vector<std::pair<Origin, std::string>> rules = {};  ///< profiles and versions, with their texts
};

enum class Kind : std::uint8_t { kMachine, kScaleSet, kProfile };

std::string text_in(const json::Value& resource, std::string_view name) {
  const json::Value* value = resource.find(name);
  return value != nullptr && value->is_string() ? *value->string() : std::string();
}

/// Only how it is treated here: the host says what it is.
Kind kind_of(const json::Value& resource) {
  const std::string id = ascii_lower(text_in(resource, "id"));
  if (id.find("/invmaccesscontrolprofiles/") != std::string::npos) {
    return Kind::kProfile;
  }
  constexpr std::string_view kSets = "/virtualmachinescalesets/";
  const auto at = id.find(kSets);
  const bool set = at != std::string::npos && id.find('/', at + kSets.size()) == std::string::npos;
  const bool typed = ascii_lower(text_in(resource, "type")) == "microsoft.compute/virtualmachinescalesets";
  return set || typed ? Kind::kScaleSet : Kind::kMachine;
}

/// True for an instance that is called this: its name, its instanceId, or the end of its id.
bool is_called(const json::Value& resource, std::string_view word) {
  return text_in(resource, "name") == word || text_in(resource, "instanceId") == word ||
         text_in(resource, "id").ends_with(fmt::format("/{}", word));
}

/// Those of what was given that are for this machine.
std::vector<std::string> of_machine(const Job& job, const std::vector<std::string>& all, const json::Value& resource) {
  if (!job.scale_sets) {
    return all;
  }
  std::vector<std::string> found;
  for (const std::string& given : all) {
    const auto equals = given.find('=');
    if (equals != std::string::npos && is_called(resource, std::string_view(given).substr(0, equals))) {
      found.push_back(given.substr(equals + 1));
    }
  }
  return found;
}

std::string list_text(std::string_view member, const std::vector<std::string>& items) {
  json::Writer writer;
  writer.begin_array();
  for (const std::string& item : items) {
    writer.value(item);
  }
  writer.end_array();
  return fmt::format(R"(,"{}":)", member) + std::move(writer).take();
}

/// What stands beside a model in the request.
Result<std::string> beside(Job& job, const json::Value& resource) {
  const std::vector<std::string> addresses = of_machine(job, job.addresses, resource);
  const std::vector<std::string> interfaces = of_machine(job, job.interfaces, resource);
  const std::vector<std::string> networks = of_machine(job, job.networks, resource);
  if (networks.size() > 1) {
    return config_error(fmt::format("{} is given more than one --network", text_in(resource, "name")),
                        "a machine is in one network: name that, or --any-network");
  }
  job.placed += addresses.size() + interfaces.size() + networks.size();
  std::string out;
  if (job.model_addresses || !addresses.empty()) {
    out = list_text("sourceAddresses", addresses);
  }
  if (!interfaces.empty()) {
    out += list_text("interfaces", interfaces);
  }
  if (job.any_network || !networks.empty()) {
    out += R"(,"network":)";
    json::append_json_string(out, networks.empty() ? "" : networks.front());
  }
  return out;
}

std::size_t given_for_machines(const Job& job) {
  return job.addresses.size() + job.interfaces.size() + job.networks.size();
}

Result<void> add_file(Job& job, const std::string& path, std::size_t& machines) {
  const auto text = read_input(path);
  if (!text.ok()) {
    return text.error();
  }
  const std::string name = path == "-" ? "standard input" : path;
  const auto tree = json::parse(*text, {.max_bytes = 16 << 20, .max_nodes = 2'000'000, .skip_bom = true});
  if (!tree.ok()) {
    Error error = tree.error();
    error.hint = "give JSON as Azure Resource Manager exports it";
    return std::move(error).context(name);
  }
  for (const PlacedResource& placed : resources_of(*tree)) {
    const Kind kind = kind_of(*placed.value);
    if (kind != Kind::kProfile && job.profiles_only) {
      return config_error(
          fmt::format("{}{}{}: is no access control profile", name, placed.pointer.empty() ? "" : " ", placed.pointer),
          "use mspctl vm for virtual machines, and mspctl vmss for scale sets");
    }
    if (kind == Kind::kProfile) {
      job.rules.emplace_back(Origin{.file = name, .pointer = placed.pointer}, text_of(*text, *placed.value));
    }
    job.body += job.origins.empty() ? "" : ",";
    job.body += R"({"resource":)" + text_of(*text, *placed.value);
    if (kind == Kind::kMachine) {
      ++machines;
      auto more = beside(job, *placed.value);
      if (!more.ok()) {
        return std::move(more).error();
      }
      job.body += *more;
    }
    job.body += "}";
    job.origins.push_back({.file = name, .pointer = placed.pointer});
  }
  return {};
}

Result<void> collect(Job& job) {
  std::size_t machines = 0;
  job.body = R"({"resources":[)";
  for (const std::string& file : job.files) {
    if (auto added = add_file(job, file, machines); !added.ok()) {
      return added;
    }
  }
  job.body += "]}";
  if (job.origins.empty()) {
    return config_error("there is no resource in what was given", "give a file that holds one");
  }
  if (job.scale_sets && job.placed != given_for_machines(job)) {
    return config_error(
        "a --source-address, --interface or --network is for no instance, or for more than one, of what was given",
        "write INSTANCE=… with an instanceId or a name that stands in the files");
  }
  if (!job.scale_sets && given_for_machines(job) != 0 && machines != 1) {
    return config_error(
        fmt::format("--source-address, --interface and --network are for one virtual machine, not for {}", machines),
        "apply them one by one, or name addresses in their network interfaces");
  }
  return {};
}

/// File and pointer of a fault, as its author knows them.
std::string place_of(const Job& job, const json::Value& fault) {
  const json::Value* index = fault.find("resource");
  const auto at = index == nullptr ? 0 : index->uint64().value_or(0);
  const Origin origin = at < job.origins.size() ? job.origins[at] : Origin{};
  const json::Value* pointer = fault.find("pointer");
  const std::string whole =
      origin.pointer + (pointer != nullptr && pointer->is_string() ? *pointer->string() : std::string());
  return fmt::format("{}{}{}: ", origin.file, whole.empty() ? "" : " ", whole);
}

/// Rules that are certainly not what their author means are applied as they are; the host takes them as ARM does.
void show_lint(const Job& job, std::ostream& err) {
  for (const auto& [origin, text] : job.rules) {
    const auto parsed = authoring::RuleText::parse(text, origin.file);
    if (!parsed.ok()) {
      continue;
    }
    const auto report = authoring::lint(*parsed, {});
    if (!report.ok() || report->count(authoring::Severity::kError) == 0) {
      continue;
    }
    for (const authoring::Finding& finding : report->findings) {
      if (finding.severity == authoring::Severity::kError) {
        err << log::escape(
                   fmt::format("{} {}{}: warning: {}", origin.file, origin.pointer, finding.pointer, finding.text))
            << fmt::format(" [{}]\n", finding.code);
      }
    }
    err << "  -> mspctl policy lint says what to do about it\n";
  }
}

int finish(const Job& job, std::ostream& out, std::ostream& err) {
  const auto reply = ask_host(job.host, err, "POST", job.dry_run ? "/v1/apply?dryRun=true" : "/v1/apply", job.body);
  if (!reply.ok()) {
    return cannot_ask(reply.error(), job.host, out, err);
  }
  if (reply->status != 200) {
    return refused_with_faults(*reply, job.host, out, err,
                               [&](const json::Value& fault) { return place_of(job, fault); });
  }
  const auto answer = json::parse(reply->body, {.max_bytes = 64 << 20, .max_nodes = 4'000'000});
  const json::Value* guests = answer.ok() ? answer->find("guests") : nullptr;
  if (guests == nullptr || guests->array() == nullptr) {
    return cannot_ask(bug("the host's answer cannot be read"), job.host, out, err);
  }
  out << (job.host.json ? reply->body + "\n" : outcome_view(*answer));
  show_lint(job, err);
  return job.dry_run && !guests->array()->empty() ? kExitRefused : 0;
}

int run(Job job, std::string_view what, const std::vector<std::string>& arguments, std::ostream& out,
        std::ostream& err) {
  const std::string name = fmt::format("{} {}", job.host.command, job.dry_run ? "diff" : "apply");
  CLI::App app(fmt::format("{}\nExit code: {}, 2 bad usage or configuration, or the host could not be asked.", what,
                           job.dry_run ? "0 no guest would notice, 1 a guest would, or it would be refused"
                                       : "0 applied, 1 refused (then nothing has changed)"),
               name);
  add_host_options(app, job.host);
  app.add_option("FILE", job.files, "resources as ARM has them; '-' is standard input")->required();
  if (!job.profiles_only) {
    auto* given = app.add_option("--source-address", job.addresses,
                                 job.scale_sets ? "where an instance's connections come from"
                                                : "where the machine's connections come from")
                      ->type_name(job.scale_sets ? "INSTANCE=IP" : "IP")
                      ->expected(1)
                      ->take_all();
    app.add_option("--interface", job.interfaces, "interface of the host that the machine is at, for mspctl host guard")
        ->type_name(job.scale_sets ? "INSTANCE=NAME" : "NAME")
        ->expected(1)
        ->take_all();
    auto* network = app.add_option("--network", job.networks,
                                   "interface of the host by which its requests come in, that of a listener")
                        ->type_name(job.scale_sets ? "INSTANCE=NAME" : "NAME")
                        ->expected(1)
                        ->take_all();
    app.add_flag("--any-network", job.any_network, "no longer one network: whichever listener it comes by")
        ->excludes(network);
    app.add_flag("--model-addresses", job.model_addresses, "its connections come from the addresses of its model again")
        ->excludes(given);
  }
  if (const auto over = parse_host_options(app, arguments, job.host, out, err)) {
    return *over;
  }
  if (auto collected = collect(job); !collected.ok()) {
    return cannot_ask(collected.error(), job.host, out, err);
  }
  return finish(job, out, err);
}

}  // namespace

int vm_apply(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  return run({.host = {.command = "mspctl vm"}}, "Applies virtual machines, and profiles that come with them.",
             arguments, out, err);
}

int vm_diff(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  return run({.host = {.command = "mspctl vm"}, .dry_run = true}, "What applying would change for guests.", arguments,
             out, err);
}

int vmss_apply(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  return run({.host = {.command = "mspctl vmss"}, .scale_sets = true},
             "Applies scale sets, and instances and profiles that come with them.", arguments, out, err);
}

int vmss_diff(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  return run({.host = {.command = "mspctl vmss"}, .dry_run = true, .scale_sets = true},
             "What applying would change for guests.", arguments, out, err);
}

int profile_apply(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  return run({.host = {.command = "mspctl profile"}, .profiles_only = true},
             "Applies access control profiles and versions.", arguments, out, err);
}

int profile_diff(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  return run({.host = {.command = "mspctl profile"}, .dry_run = true, .profiles_only = true},
             "What applying would change for guests.", arguments, out, err);
}

}  // namespace msp::cli
