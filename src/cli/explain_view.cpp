// SPDX-License-Identifier: Apache-2.0
#include "cli/explain_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <ostream>

#include "base/log.h"

namespace msp::cli {
namespace {

using authoring::Check;
using authoring::RuleTrace;
using log::escape;

constexpr std::size_t kUsualRules = 5;

class View {
 public:
  explicit View(std::ostream& out) : out_(out) {}

  template <class... A>
  void line(fmt::format_string<A...> format, A&&... arguments) {
    fmt::format_to(std::ostreambuf_iterator<char>(out_), format, std::forward<A>(arguments)...);
    out_ << '\n';
  }

 private:
  std::ostream& out_;
};

std::string canonical_text(const authoring::Asked& asked) {
  const policy::RequestView& view = asked.view();
  if (asked.refusal().status != 0) {
    return "none: the request is refused before";
  }
  if (view.canonical == nullptr) {
    return fmt::format("none: {}", request::canon_name(view.fault));
  }
  std::string out;
  for (const std::string_view segment : view.canonical->path.segments) {
    out += '/';
    out += segment;
  }
  out += out.empty() || view.canonical->path.trailing_slash ? "/" : "";
  for (const request::QueryPair& pair : view.canonical->query.pairs) {
    out += fmt::format("  {}={}", pair.key, pair.value);
  }
  return out;
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : escape(text); }

void show_facts(View& view, const ExplainContext& context) {
  const identity::ConnectionIdentity& who = context.caller;
  view.line("");
  view.line("request    {} {} {}", to_string(context.asked.view().service), escape(context.asked.method()),
            escape(context.asked.target()));
  view.line("canonical  {}", escape(canonical_text(context.asked)));
  view.line("caller     user {}, uid {}{}, groups {}", who.user_name.empty() ? "without name" : escape(who.user_name),
            who.uid == ~0U ? "unknown" : fmt::format("{}", who.uid), who.elevated ? " (elevated)" : "",
            who.group_names.empty() ? "none" : escape(fmt::format("{}", fmt::join(who.group_names, " "))));
  view.line("           exe {}, process {}", who.exe_path.empty() ? "unknown" : escape(who.exe_path),
            who.process_name.empty() ? "unknown" : escape(who.process_name));
  if (who.cgroup && *who.cgroup != identity::CgroupPlace()) {
    view.line("           unit {}, cgroup {}, container {}", or_none(who.cgroup->unit), or_none(who.cgroup->path),
              or_none(who.cgroup->container));
  }
  if (context.item == nullptr) {
    view.line("rules      none{}",
              context.file.empty() ? "" : fmt::format(" for this service in {}", escape(context.file)));
  } else {
    view.line("rules      {} ({}), id \"{}\", mode {}, default {}", escape(context.file),
              context.origin.empty() ? std::string(context.form) : escape(context.origin), escape(context.item->id),
              escape(context.item->mode), escape(context.item->default_access));
  }
  view.line("matching   {}", policy::to_string(context.matching));
}

std::string holder_of(const RuleTrace& rule) {
  return rule.assigned ? fmt::format("role \"{}\", identity \"{}\"{}{}", escape(rule.role), escape(rule.identity),
                                     rule.deny ? ", denied" : "", rule.dry_run ? ", dry run without effect" : "")
                       : std::string("which no assignment gives to anybody");
}

void show_rule(View& view, std::size_t number, const RuleTrace& rule) {
  view.line("  {:2}. {} privilege \"{}\", {}", number, rule.matches() ? "MATCH " : "miss  ", escape(rule.privilege),
            holder_of(rule));
  for (const Check& check : rule.checks) {
    if (check.met) {
      view.line("        ok      {} {}", escape(check.what), escape(check.wanted));
    } else {
      view.line("        MISSED  {}: wanted {}, found {}", escape(check.what), escape(check.wanted),
                escape(check.found));
    }
  }
}

void show_trace(View& view, std::string_view title, const authoring::Trace& trace, const ExplainContext& context) {
  view.line("");
  view.line("{}: {}{}", title,
            trace.verdict == policy::Verdict::kAllow    ? "allow"
            : trace.verdict == policy::Verdict::kReject ? "reject, the request has no canonical form"
                                                        : "deny",
            trace.by_default ? ", by default" : "");
  std::size_t shown = 0;
  const std::size_t left_out =
      each_rule(context, trace, kUsualRules, [&](const RuleTrace& rule) { show_rule(view, ++shown, rule); });
  if (left_out > 0) {
    view.line("  and {} more that are further away (--all shows them)", left_out);
  }
  if (trace.count == 0) {
    view.line("  there are no privileges");
  }
}

/// The other matcher of a deciding one.
std::string_view other_name(policy::Matching matching) {
  return matching == policy::Matching::kEnforce ? "legacy" : "canonical";
}

}  // namespace

std::string judgement_line(const authoring::Judgement& judgement) {
  const policy::RuleNames& names = judgement.names;
  if (judgement.outcome == authoring::Outcome::kDeny) {
    return fmt::format("DENY {} {}", judgement.status, judgement.code);
  }
  if (judgement.outcome == authoring::Outcome::kAudit) {
    return fmt::format("PERMIT in mode audit, would be denied: {}", judgement.code);
  }
  if (judgement.ground != policy::Ground::kRule) {
    return fmt::format("PERMIT {}", policy::to_string(judgement.ground));
  }
  return fmt::format("PERMIT by privilege \"{}\", role \"{}\", identity \"{}\"", escape(names.privilege),
                     escape(names.role), escape(names.identity));
}

std::string nearest_miss(const authoring::Explanation& explanation) {
  if (!explanation.deciding || explanation.deciding->count == 0) {
    return explanation.steps.empty() ? "" : escape(explanation.steps.back().what);
  }
  const authoring::Trace& trace = *explanation.deciding;
  const RuleTrace& rule = trace.nearest_miss ? *trace.nearest_miss : trace.rules.front();
  std::string out = fmt::format("privilege \"{}\", {}", escape(rule.privilege), holder_of(rule));
  for (const Check& check : rule.checks) {
    if (!check.met) {
      out += fmt::format("; {}: wanted {}, found {}", escape(check.what), escape(check.wanted), escape(check.found));
    }
  }
  return out;
}

std::size_t each_rule(const ExplainContext& context, const authoring::Trace& trace, std::size_t most,
                      const std::function<void(const authoring::RuleTrace& rule)>& show) {
  if (context.all_rules && context.item != nullptr) {
    authoring::RuleWalk walk(*context.item, context.caller, context.asked.view(), trace.matcher);
    while (walk.next()) {
      show(walk.rule());
    }
    return 0;
  }
  const std::size_t shown = std::min(most, trace.rules.size());
  std::for_each_n(trace.rules.begin(), shown, show);
  return trace.count - shown;
}

void explain_view(const ExplainContext& context, std::ostream& out) {
  const authoring::Explanation& explanation = context.explanation;
  View view(out);
  view.line("{}", judgement_line(explanation.judgement));
  show_facts(view, context);
  view.line("");
  view.line("steps");
  for (const authoring::Step& step : explanation.steps) {
    view.line("  {} {}", step.decides ? "=>" : "- ", escape(step.what));
  }
  if (const policy::Verdict dry = explanation.judgement.dry_run; dry != policy::Verdict::kNotRun) {
    view.line("  a dry run would {} it", dry == policy::Verdict::kAllow ? "allow" : "deny");
  }
  if (explanation.deciding) {
    show_trace(view, "rules, nearest first", *explanation.deciding, context);
  }
  if (explanation.other && explanation.readings_differ()) {
    show_trace(view, fmt::format("{} matching would decide differently", other_name(context.matching)),
               *explanation.other, context);
  }
}

}  // namespace msp::cli
