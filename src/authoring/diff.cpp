// SPDX-License-Identifier: Apache-2.0
#include "authoring/diff.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "authoring/diff_callers.h"
#include "authoring/diff_pairs.h"
#include "authoring/diff_requests.h"
#include "authoring/diff_side.h"
#include "authoring/reading.h"

namespace msp::authoring {
namespace {

constexpr std::size_t kMostPairs = 10'000;  ///< of identities that allow and identities that deny, for one request

SideVerdict verdict_of(const Judgement& judgement) {
  return {
      .outcome = judgement.outcome,
      .code = std::string(judgement.code),
      .ground = judgement.outcome == Outcome::kDeny ? std::string() : std::string(policy::to_string(judgement.ground)),
      .privilege = std::string(judgement.names.privilege),
      .identity = std::string(judgement.names.identity)};
}

/// Why an item is refused, whatever the place: one that moves to another line is the same.
std::set<std::string> reasons(const RuleItem* item, policy::Matching matching) {
  std::set<std::string> out;
  for (const std::string& line :
       item == nullptr ? std::vector<std::string>() : policy::RuleSet::refusals(*item, matching)) {
    // "/rules/identities/0/openmsp/unti at line 3, column 12: is not known": what is in the openmsp is no place.
    const std::size_t text = line.starts_with('/') ? line.find(": ") : std::string::npos;
    const std::string pointer = text == std::string::npos ? "" : line.substr(0, std::min(text, line.find(" at line ")));
    const std::size_t ours = pointer.find("/openmsp");
    out.insert((ours == std::string::npos ? "" : pointer.substr(ours)) +
               line.substr(text == std::string::npos ? 0 : text));
  }
  return out;
}

/// Null as well for rules that cannot be used: they grant nobody anything.
const RuleItem* usable(const RuleItem* item, const policy::RuleSet* compiled) {
  return compiled != nullptr && compiled->unusable().empty() ? item : nullptr;
}

/// How the matcher that decides reads a request. Without a canonical form there it is refused, whatever is met.
ReadRequest read(const Asked& asked, policy::Matching matching) {
  const bool canonical = matching == policy::Matching::kEnforce;
  const Reading reading(canonical ? Matcher::kCanonical : Matcher::kLegacy, asked.view());
  const bool root = canonical && reading.path().empty();
  return {.canonical = canonical,
          .form = {.path = root ? "/" : reading.path(), .query = reading.query()},
          .method = asked.method()};
}

struct Callers {
  std::vector<std::uint32_t> allow;  ///< indexes into CallerTable, ascending, each once
  std::vector<std::uint32_t> deny;
};

/// The comparison of one service.
class Comparison {
 public:
  Comparison(Service service, const RuleItem* a, const RuleItem* b, const policy::Snapshot& rules_a,
             const policy::Snapshot& rules_b, const DiffOptions& options, DiffReport& report)
      : service_(service),
        item_a_(a),
        item_b_(b),
        rules_a_(rules_a),
        rules_b_(rules_b),
        options_(options),
        report_(report),
        a_(usable(a, rules_a.of(service).get()), table_),
        b_(usable(b, rules_b.of(service).get()), table_),
        callers_(service, table_),
        pairs_({&a_, &b_}, table_) {}

  void run() {
    heads();
    // Half of what may be done, so that the other half finds out what becomes of these requests.
    const std::size_t left = options_.max_steps - std::min(report_.steps, options_.max_steps);
    const CandidateRequests candidates = candidate_requests(a_, b_, left / 2);
    report_.steps += candidates.steps;
    if (candidates.joins_bounded) {
      report_.bounds.push_back(
          fmt::format("{}: of requests, most of all those that ask for two privileges at once, not all were tried",
                      to_string(service_)));
    }
    for (const CandidateRequest& request : candidates.requests) {
      compare(request, candidates.methods);
      if (is_enough()) {
        report_.bounds.push_back(fmt::format("{}: {} decisions were made in {} steps, the rest was not looked at",
                                             to_string(service_), report_.decisions, report_.steps));
        break;
      }
    }
    for (auto& [key, best] : of_pairs_) {
      keep(std::move(best));
    }
    for (auto& [key, best] : others_) {
      report_.differences.push_back(std::move(best.difference));
    }
  }

 private:
  using Known = DiffCallers::Known;

  using Rank = std::tuple<int, std::size_t, std::size_t>;
  struct Best {
    Rank rank;
    Difference difference;
  };
  using Names = std::tuple<bool, std::string, std::string>;
  using Meanings = std::pair<std::vector<std::uint64_t>, std::vector<std::uint64_t>>;

  static Names names_of(const Difference& difference) {
    return {!difference.opens, difference.privilege, difference.identity};
  }

  void keep(Best best) {
    const auto [found, is_new] = others_.try_emplace(names_of(best.difference), best);
    if (!is_new && best.rank < found->second.rank) {
      found->second = std::move(best);
    }
  }

  void heads() {
    const policy::RuleSet* const a = rules_a_.of(service_).get();
    const policy::RuleSet* const b = rules_b_.of(service_).get();
    const auto compare = [&](std::string_view what, std::string old_value, std::string new_value) {
      if (old_value != new_value) {
        report_.heads.push_back(
            {.service = service_, .what = std::string(what), .a = std::move(old_value), .b = std::move(new_value)});
        same_heads_ = false;
      }
    };
    compare("rules", a == nullptr ? "none" : "present", b == nullptr ? "none" : "present");
    if (a == nullptr || b == nullptr) {
      return;
    }
    compare("mode", std::string(policy::to_string(a->mode())), std::string(policy::to_string(b->mode())));
    compare("defaultAccess", a->default_allow() ? "allow" : "deny", b->default_allow() ? "allow" : "deny");
    if (reasons(item_a_, options_.matching) != reasons(item_b_, options_.matching)) {
      compare("usable", a->unusable().empty() ? "yes" : "no: " + a->unusable(),
              b->unusable().empty() ? "yes" : "no: " + b->unusable());
    }
    both_audit_ = a->mode() == policy::Mode::kAudit && b->mode() == policy::Mode::kAudit;
  }

  bool is_enough() const { return report_.decisions >= options_.max_decisions || report_.steps >= options_.max_steps; }

  void compare(const CandidateRequest& request, const std::vector<std::string>& methods) {
    if (!ask(methods.front(), request)) {
      return;
    }
    ReadRequest read = authoring::read(asked_, options_.matching);
    const std::vector<std::uint32_t> near_a = a_.near(read);
    const std::vector<std::uint32_t> near_b = b_.near(read);
    report_.steps += near_a.size() + near_b.size();
    if (same_heads_ && a_.meaning(near_a) == b_.meaning(near_b)) {
      return;  // the same privileges for the same callers: nobody can tell the sides apart here
    }
    ++report_.requests;
    for (const std::string& method : methods) {
      if (!ask(method, request)) {
        return;
      }
      read.method = method;
      report_.steps += near_a.size() + near_b.size();
      ask_all(request, a_.met(near_a, read), b_.met(near_b, read));
    }
  }

  /// False: it is refused, whatever the rules are.
  bool ask(const std::string& method, const CandidateRequest& request) {
    asked_.ask(service_, method, request.target);
    return asked_.refusal().status == 0;
  }

  /// Callers whose rights differ here: those of privileges that are the same on both sides tell nobody apart by
  /// themselves.
  void ask_all(const CandidateRequest& request, std::vector<std::uint32_t> met_a, std::vector<std::uint32_t> met_b) {
    Meanings meanings{a_.meaning(met_a), b_.meaning(met_b)};
    if (same_heads_ && meanings.first == meanings.second) {
      return;
    }
    const bool by_rules = !asked_.view().exempt && asked_.view().fault == request::Fault::kNone;
    // Requests come plainest first: the same privileges again have no better witness.
    if (by_rules && !seen_.insert(meanings).second) {
      return;
    }
    Callers all;
    collect(a_, met_a, all);
    collect(b_, met_b, all);
    Callers changed;
    if (same_heads_) {
      collect(a_, a_.unlike(met_a, meanings.second), changed);
      collect(b_, b_.unlike(met_b, meanings.first), changed);
    } else {
      changed = all;
    }
    pairs_.set_request({std::move(met_a), std::move(met_b)});
    decide(request, callers_.nobody());
    for (const std::uint32_t i : changed.allow) {
      decide(request, callers_.allowed(i));
    }
    for (const std::uint32_t i : changed.deny) {
      decide(request, callers_.denied(i));
    }
    decide(request, joined(all, changed));
  }

  void collect(const DiffSide& side, const std::vector<std::uint32_t>& privileges, Callers& callers) {
    std::set<std::uint32_t> kinds;
    for (const std::uint32_t i : privileges) {
      if (kinds.insert(side.kind(i)).second) {
        const Grants& grants = side.grants_of_kind(side.kind(i));
        callers.allow.insert(callers.allow.end(), grants.allow.begin(), grants.allow.end());
        callers.deny.insert(callers.deny.end(), grants.deny.begin(), grants.deny.end());
        report_.steps += grants.allow.size() + grants.deny.size();
      }
    }
    for (std::vector<std::uint32_t>* list : {&callers.allow, &callers.deny}) {
      std::ranges::sort(*list);
      const auto rest = std::ranges::unique(*list);
      list->erase(rest.begin(), rest.end());
    }
  }

  /// A deny shows only at those who would be allowed without it.
  DiffCallers::List joined(const Callers& all, const Callers& changed) {
    DiffCallers::List out;
    for (const std::uint32_t i : all.allow) {
      const bool differs = std::ranges::binary_search(changed.allow, i);
      for (const std::uint32_t j : differs ? all.deny : changed.deny) {
        if (out.size() >= kMostPairs || is_enough()) {
          pairs_bounded();
          return out;
        }
        ++report_.steps;
        std::ranges::move(callers_.both(i, j), std::back_inserter(out));
      }
    }
    return out;
  }

  void pairs_bounded() {
    if (!pairs_bounded_) {
      report_.bounds.push_back(
          fmt::format("{}: not every caller that is both allowed and denied was tried", to_string(service_)));
    }
    pairs_bounded_ = true;
  }

  bool passes(const Judgement& judgement) const {
    return judgement.outcome == Outcome::kPermit || (judgement.outcome == Outcome::kAudit && !both_audit_);
  }

  void decide(const CandidateRequest& request, const DiffCallers::List& callers) {
    for (const Known& who : callers) {
      decide(request, who);
    }
  }

  void decide(const CandidateRequest& request, const Known& who) {
    if (is_enough()) {
      return;
    }
    ++report_.steps;
    ++report_.decisions;
    const Judgement a = judge(who.identity, asked_, rules_a_);
    const Judgement b = judge(who.identity, asked_, rules_b_);
    if (passes(a) == passes(b)) {
      return;
    }
    const Rank rank(request.rank, fields_of(who.caller), request.target.size());
    const std::vector<Pair> pairs = pairs_.of(who.identity);
    report_.steps += pairs.size();
    for (const Pair& pair : pairs) {
      const auto [found, is_new] =
          of_pairs_.try_emplace(std::pair(passes(b), pair), Best{.rank = rank, .difference = {}});
      if (is_new || rank < found->second.rank) {
        const DiffSide& side = pair.side == 0 ? a_ : b_;
        Difference difference = witnessed(who, a, b);
        difference.privilege = side.privileges()[pair.privilege]->name;
        difference.identity = side.identity(pair.identity).name;
        found->second = {.rank = rank, .difference = std::move(difference)};
      }
    }
    if (pairs.empty()) {
      Difference difference = witnessed(who, a, b);
      name_by_ground(passes(b) ? b : a, passes(b) ? a : b, difference);
      keep({.rank = rank, .difference = std::move(difference)});
    }
  }

  Difference witnessed(const Known& who, const Judgement& a, const Judgement& b) const {
    return {
        .opens = passes(b),
        .privilege = {},
        .identity = {},
        .witness = {.service = service_, .method = asked_.method(), .target = asked_.target(), .caller = who.caller},
        .a = verdict_of(a),
        .b = verdict_of(b)};
  }

  /// What no pair explains: a default, a mode, whoever no rule names.
  static void name_by_ground(const Judgement& allows, const Judgement& refuses, Difference& out) {
    if (allows.ground == policy::Ground::kRule) {
      out.privilege = allows.names.privilege;
      out.identity = allows.names.identity;
      return;
    }
    // It passes since nothing speaks against it; what makes the difference is on the other side.
    out.privilege = refuses.names.privilege;
    out.identity = refuses.code == policy::to_string(policy::Reason::kExplicitDeny)
                       ? std::string(refuses.names.identity)
                       : std::string();
  }

  Service service_;
  const RuleItem* item_a_;
  const RuleItem* item_b_;
  const policy::Snapshot& rules_a_;
  const policy::Snapshot& rules_b_;
  const DiffOptions& options_;
  DiffReport& report_;
  CallerTable table_;
  DiffSide a_;
  DiffSide b_;
  DiffCallers callers_;
  DiffPairs pairs_;
  Asked asked_;
  bool same_heads_ = true;
  bool both_audit_ = false;
  bool pairs_bounded_ = false;
  std::set<Meanings> seen_;  ///< what requests met that have been asked
  std::map<std::pair<bool, Pair>, Best> of_pairs_;
  std::map<Names, Best> others_;
};

}  // namespace

Result<DiffReport> diff(const RuleSource& a, const RuleSource& b, const DiffOptions& options) {
  if (a.single.has_value() != b.single.has_value()) {
    return config_error("one side says for which service its rules are and the other does not",
                        "say --service imds or wireserver");
  }
  DiffReport out;
  const policy::Snapshot rules_a = a.compile(options.matching);
  const policy::Snapshot rules_b = b.compile(options.matching);
  if (a.single) {
    out.remarks.emplace_back("the rules do not say for which service they are: they are compared as if for imds");
  }
  // hostga has no rules of its own (protocol.md B.4), but where a local rule file adds to those of wireserver.
  std::vector<Service> services{Service::kImds, Service::kWireServer};
  if (a.has_own_hostga() || b.has_own_hostga()) {
    services.push_back(Service::kHostGaPlugin);
  }
  for (const Service service : services) {
    const RuleItem* const item_a = a.item(service);
    const RuleItem* const item_b = b.item(service);
    if ((item_a != nullptr || item_b != nullptr) && !(a.single && service != Service::kImds)) {
      Comparison(service, item_a, item_b, rules_a, rules_b, options, out).run();
    }
  }
  std::ranges::sort(out.differences, [](const Difference& x, const Difference& y) {
    return std::tie(y.opens, x.witness.service, x.privilege, x.identity) <
           std::tie(x.opens, y.witness.service, y.privilege, y.identity);
  });
  return out;
}

}  // namespace msp::authoring
