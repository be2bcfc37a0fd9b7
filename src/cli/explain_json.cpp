// SPDX-License-Identifier: Apache-2.0
// The program's side of explain_view.h.
#include <algorithm>
#include <ostream>
#include <utility>

#include "base/json.h"
#include "cli/explain_view.h"

namespace msp::cli {
namespace {

using authoring::Check;
using authoring::RuleTrace;

void write_request(json::Writer& writer, const authoring::Asked& asked) {
  const policy::RequestView& view = asked.view();
  writer.key("request").begin_object();
  writer.field("service", to_string(view.service)).field("method", asked.method()).field("target", asked.target());
  writer.key("canonical");
  if (asked.refusal().status != 0 || view.canonical == nullptr) {
    writer.null();
  } else {
    writer.begin_object().key("segments").begin_array();
    for (const std::string_view segment : view.canonical->path.segments) {
      writer.value(segment);
    }
    writer.end_array().field("trailingSlash", view.canonical->path.trailing_slash).key("query").begin_array();
    for (const request::QueryPair& pair : view.canonical->query.pairs) {
      writer.begin_object().field("key", pair.key).field("value", pair.value).end_object();
    }
    writer.end_array().end_object();
  }
  if (asked.refusal().status == 0 && view.fault != request::Fault::kNone) {
    writer.field("fault", request::canon_name(view.fault));
  }
  writer.end_object();
}

void write_caller(json::Writer& writer, const identity::ConnectionIdentity& caller) {
  writer.key("caller").begin_object().field("user", caller.user_name).field("elevated", caller.elevated);
  if (caller.uid != ~0U) {
    writer.field("uid", caller.uid);
  }
  writer.key("groups").begin_array();
  for (const std::string& group : caller.group_names) {
    writer.value(group);
  }
  writer.end_array().field("exe", caller.exe_path).field("process", caller.process_name);
  if (caller.cgroup) {
    writer.field("unit", caller.cgroup->unit).field("cgroup", caller.cgroup->path);
    writer.field("container", caller.cgroup->container);
  }
  writer.end_object();
}

void write_rule(json::Writer& writer, const RuleTrace& rule) {
  writer.begin_object().field("privilege", rule.privilege);
  if (rule.assigned) {
    writer.field("role", rule.role).field("identity", rule.identity);
  }
  writer.field("assigned", rule.assigned).field("deny", rule.deny).field("dryRun", rule.dry_run);
  writer.field("matches", rule.matches()).key("checks").begin_array();
  for (const Check& check : rule.checks) {
    writer.begin_object()
        .field("what", check.what)
        .field("met", check.met)
        .field("wanted", check.wanted)
        .field("found", check.found)
        .end_object();
  }
  writer.end_array().end_object();
}

std::string_view verdict_text(policy::Verdict verdict) {
  return verdict == policy::Verdict::kAllow ? "allow" : verdict == policy::Verdict::kReject ? "reject" : "deny";
}

/// Elements of an array that stay out of the writer, which keeps all that it has written. `null` stands in for them: on
/// a line of its own, as nothing else in the document is.
constexpr std::string_view kRulesHere = "\n      null\n";

std::string indented(std::string_view text) {
  std::string out = "      ";
  for (const char c : text) {
    out += c;
    out += c == '\n' ? "      " : "";
  }
  return out;
}

std::size_t most_rules(const ExplainContext& context, const authoring::Trace& trace) {
  return context.all_rules ? trace.count : std::min(trace.count, authoring::Trace::kMostRules);
}

void write_trace(json::Writer& writer, std::string_view name, const authoring::Trace& trace,
                 const ExplainContext& context) {
  writer.key(name).begin_object().field("verdict", verdict_text(trace.verdict)).field("byDefault", trace.by_default);
  writer.key("rules").begin_array();
  if (trace.count > 0) {
    writer.null();
  }
  writer.end_array().field("rulesLeftOut", trace.count - most_rules(context, trace)).end_object();
}

/// Writes up to where the rules of the trace belong, and them. Returns what of the document is left.
std::string_view print_rules(std::string_view document, const ExplainContext& context, const authoring::Trace& trace,
                             std::ostream& out) {
  if (trace.count == 0) {
    return document;
  }
  const std::size_t here = document.find(kRulesHere);
  out << document.substr(0, here);
  bool first = true;
  each_rule(context, trace, authoring::Trace::kMostRules, [&](const RuleTrace& rule) {
    json::Writer writer(json::Style::kPretty);
    write_rule(writer, rule);
    out << (std::exchange(first, false) ? "\n" : ",\n") << indented(std::move(writer).take());
  });
  return document.substr(here + kRulesHere.size() - 1);
}

}  // namespace

void write_judgement(json::Writer& writer, const authoring::Judgement& judgement) {
  writer.field("outcome", to_string(judgement.outcome)).field("status", judgement.status).field("code", judgement.code);
  if (judgement.outcome != authoring::Outcome::kDeny) {
    writer.field("ground", policy::to_string(judgement.ground));
  }
  const policy::RuleNames& names = judgement.names;
  if (!names.privilege.empty()) {
    writer.field("privilege", names.privilege);
  }
  if (!names.role.empty()) {
    writer.field("role", names.role).field("identity", names.identity);
  }
  if (judgement.dry_run != policy::Verdict::kNotRun) {
    writer.field("dryRun", verdict_text(judgement.dry_run));
  }
  if (!judgement.missed_field.empty()) {
    writer.field("missedField", judgement.missed_field);
  }
}

void explain_json(const ExplainContext& context, std::ostream& out) {
  const authoring::Explanation& explanation = context.explanation;
  json::Writer writer(json::Style::kPretty);
  writer.begin_object();
  write_judgement(writer, explanation.judgement);
  write_request(writer, context.asked);
  write_caller(writer, context.caller);
  writer.key("ruleSet");
  if (context.item == nullptr) {
    writer.null();
  } else {
    writer.begin_object()
        .field("file", context.file)
        .field("form", context.form)
        .field("origin", context.origin)
        .field("id", context.item->id)
        .field("mode", context.item->mode)
        .field("defaultAccess", context.item->default_access)
        .end_object();
  }
  writer.field("matching", policy::to_string(context.matching)).key("steps").begin_array();
  for (const authoring::Step& step : explanation.steps) {
    writer.value(step.what);
  }
  writer.end_array();
  if (explanation.deciding && explanation.other) {
    const bool strict = context.matching == policy::Matching::kEnforce;
    write_trace(writer, strict ? "canonical" : "legacy", *explanation.deciding, context);
    write_trace(writer, strict ? "legacy" : "canonical", *explanation.other, context);
  }
  writer.field("matchersDiffer", explanation.readings_differ()).end_object();
  const std::string document = std::move(writer).take();
  std::string_view rest = document;
  if (explanation.deciding && explanation.other) {
    rest = print_rules(rest, context, *explanation.deciding, out);
    rest = print_rules(rest, context, *explanation.other, out);
  }
  out << rest << '\n';
}

}  // namespace msp::cli
