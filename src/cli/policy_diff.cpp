// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_diff.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <utility>

#include "authoring/diff.h"
#include "authoring/rule_callers.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/policy_common.h"

namespace msp::cli {
namespace {

using authoring::Difference;
using authoring::DiffReport;
using authoring::SideVerdict;
using authoring::Witness;

struct Options {
  PolicyOptions common;
  std::string a;
  std::string b;
};

std::string url_of(const Witness& witness) {
  switch (witness.service) {
    case Service::kImds:
      return "http://" + address_text(kImdsEndpoint) + witness.target;
    case Service::kWireServer:
      return "http://" + address_text(kWireServerEndpoint) + witness.target;
    case Service::kHostGaPlugin:
      return "http://" + to_string(kHostGaPluginEndpoint) + witness.target;
  }
  return witness.target;
}

void write_side(json::Writer& writer, std::string_view name, const SideVerdict& side) {
  writer.key(name).begin_object().field("outcome", authoring::to_string(side.outcome)).field("code", side.code);
  writer.field("ground", side.ground).field("privilege", side.privilege).field("identity", side.identity).end_object();
}

void write_texts(json::Writer& writer, std::string_view name, const std::vector<std::string>& texts) {
  writer.key(name).begin_array();
  for (const std::string& text : texts) {
    writer.value(text);
  }
  writer.end_array();
}

void write_witness(json::Writer& writer, const Witness& witness) {
  const authoring::Caller& caller = witness.caller;
  writer.key("request").begin_object().field("method", witness.method).field("url", url_of(witness)).end_object();
  writer.key("caller").begin_object().field("user", caller.user).key("groups").begin_array();
  for (const std::string& group : caller.groups) {
    writer.value(group);
  }
  writer.end_array();
  if (caller.uid) {
    writer.field("uid", *caller.uid);
  }
  writer.field("exe", caller.exe).field("process", caller.process).field("unit", caller.unit);
  writer.field("cgroup", caller.cgroup).field("container", caller.container);
  std::vector<std::string> unknown;
  for (const auto& [name, is_so] : {std::pair("user", caller.unnamed), std::pair("groups", caller.more_groups),
                                    std::pair("cgroup", caller.place_unknown)}) {
    if (is_so) {
      unknown.emplace_back(name);
    }
  }
  write_texts(writer, "unknown", unknown);
  writer.end_object();
}

void print_json(const DiffReport& report, std::ostream& out) {
  json::Writer writer(json::Style::kPretty);
  writer.begin_object().field("same", report.same()).key("items").begin_array();
  for (const authoring::HeadChange& head : report.heads) {
    writer.begin_object().field("service", to_string(head.service)).field("what", head.what);
    writer.field("a", head.a).field("b", head.b).end_object();
  }
  writer.end_array().key("differences").begin_array();
  for (const Difference& difference : report.differences) {
    writer.begin_object().field("change", std::string_view(difference.opens ? "opens" : "closes"));
    writer.field("service", to_string(difference.witness.service)).field("privilege", difference.privilege);
    writer.field("identity", difference.identity);
    write_witness(writer, difference.witness);
    write_side(writer, "a", difference.a);
    write_side(writer, "b", difference.b);
    writer.end_object();
  }
  writer.end_array();
  write_texts(writer, "bounds", report.bounds);
  write_texts(writer, "remarks", report.remarks);
  out << std::move(writer.field("requests", report.requests)
                       .field("decisions", report.decisions)
                       .field("steps", report.steps)
                       .end_object())
             .take()
      << '\n';
}

std::string describe(const SideVerdict& side) {
  std::string out = side.outcome == authoring::Outcome::kDeny
                        ? fmt::format("refused, {}", side.code)
                        : fmt::format("passes by {}{}", side.ground, side.code.empty() ? "" : ", else " + side.code);
  if (!side.privilege.empty()) {
    out += fmt::format(" (privilege \"{}\"", side.privilege);
    out += side.identity.empty() ? ")" : fmt::format(", identity \"{}\")", side.identity);
  }
  return out;
}

void print_text(const DiffReport& report, std::ostream& out) {
  for (const authoring::HeadChange& head : report.heads) {
    out << fmt::format("{}: {}: {} -> {}\n", to_string(head.service), head.what, log::escape(head.a),
                       log::escape(head.b));
  }
  for (const Difference& difference : report.differences) {
    const std::string privilege = difference.privilege.empty() ? std::string("what no privilege names")
                                                               : fmt::format("privilege \"{}\"", difference.privilege);
    const std::string identity =
        difference.identity.empty() ? std::string("everybody else") : fmt::format("\"{}\"", difference.identity);
    out << log::escape(fmt::format("{} {}: {} for {}", difference.opens ? "OPENS " : "CLOSES",
                                   to_string(difference.witness.service), privilege, identity))
        << '\n';
    out << log::escape(fmt::format("    {} {} by {}", difference.witness.method, url_of(difference.witness),
                                   authoring::describe(difference.witness.caller)))
        << '\n';
    out << "    A: " << log::escape(describe(difference.a)) << '\n';
    out << "    B: " << log::escape(describe(difference.b)) << '\n';
  }
  for (const std::string& bound : report.bounds) {
    out << "bounded: " << log::escape(bound) << '\n';
  }
  const auto opens = std::ranges::count_if(report.differences, &Difference::opens);
  out << (report.same() ? std::string("no difference\n")
                        : fmt::format("{} pairs open, {} close\n", opens,
                                      static_cast<std::ptrdiff_t>(report.differences.size()) - opens));
}

}  // namespace

int policy_diff(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  CLI::App app(
      "Tells who may ask for what under B and not under A, and the other way round.\n"
      "Exit code: 0 no difference, 1 differences, 2 unusable input.",
      "mspctl policy diff");
  Options options;
  app.add_option("A", options.a, "rules in any form; '-' is standard input")->required()->type_name("");
  app.add_option("B", options.b, "the other version")->required()->type_name("");
  add_service(app, options.common);
  add_matching(app, options.common);
  add_json(app, options.common);
  if (const auto code = parse_options(app, arguments, options.common, out, err)) {
    return *code;
  }
  const auto a = load_rules(options.a, options.common.service_wanted());
  const auto b = a ? load_rules(options.b, options.common.service_wanted()) : a;
  if (!a || !b) {
    return unusable(a ? b.error() : a.error(), options.common, out, err);
  }
  const auto report = authoring::diff(*a, *b, {.matching = options.common.matching_mode()});
  if (!report) {
    return unusable(report.error(), options.common, out, err);
  }
  if (options.common.json) {
    print_json(*report, out);
  } else {
    print_remarks(a->remarks, err);
    print_remarks(b->remarks, err);
    print_remarks(report->remarks, err);
    print_text(*report, out);
  }
  return report->same() ? kExitOk : kExitFindings;
}

}  // namespace msp::cli
