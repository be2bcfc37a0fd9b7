// SPDX-License-Identifier: Apache-2.0
// Properties of canonical forms and decisions over random rules and requests. ctest runs a few thousand cases of each,
// scripts/policy-campaign a million; RC_PARAMS="seed=… max_success=…" repeats a run.
#include <algorithm>
#include <map>

#include "base/utf8.h"
#include "policy/matcher.h"
#include "tests/policy/random_policy.h"
#include "tests/policy/reference_text.h"
#include "tests/support/rapidcheck.h"

namespace msp::test {
namespace {

using policy::Decision;
using policy::Matching;
using policy::RuleSet;

constexpr Matching kMatchings[] = {Matching::kOff, Matching::kShadow, Matching::kEnforce};
constexpr std::size_t kRequests = 4;

/// Fewer bytes make a smaller case: that is what shrinks.
Choices choices(std::size_t most, std::uint32_t salt) {
  const auto seed = *rc::gen::noShrink(rc::gen::arbitrary<std::uint64_t>()) + salt;
  const auto size = *rc::gen::inRange<std::size_t>(0, most + 1);
  return Choices::series(seed, most - size);
}

/// The engine's view of a request, by the product's own canonicalisation.
class Asked {
 public:
  explicit Asked(reference::Request request) : request_(std::move(request)) {
    target_.path = request_.path;
    target_.query = request_.query;
    target_.has_query = !request_.query.empty();
    view_.service = request_.service;
    view_.exempt = request_.exempt;
    view_.method = request_.method;
    view_.path = request_.path;
    view_.query = request_.query;
    view_.fault = request::canonicalize(request_.method, target_, arena_, canonical_);
    view_.canonical = view_.fault == request::Fault::kNone ? &canonical_ : nullptr;
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

  const policy::RequestView& view() const { return view_; }
  const reference::Request& request() const { return request_; }

 private:
  reference::Request request_;
  http::Target target_;
  request::Arena arena_;
  request::CanonicalRequest canonical_;
  policy::RequestView view_;
};

policy::Snapshot snapshot_of(const std::optional<RuleItem>& item, Matching matching) {
  policy::Snapshot out;
  out.matching = matching;
  if (item) {
    out.rules.fill(RuleSet::compile(*item, matching));
  }
  return out;
}

std::string text_of(const RuleItem& item) {
  json::Writer writer;
  write_rule_item(writer, item);
  return std::move(writer).take();
}

std::string text_of(const identity::ConnectionIdentity& caller) {
  std::string out = "user \"" + caller.user_name + "\" process \"" + caller.process_name + "\"";
  for (const std::string& group : caller.group_names) {
    out += " group \"" + group + "\"";
  }
  for (const std::string& path : caller.exe_rule_paths) {
    out += " exe \"" + path + "\"";
  }
  if (caller.cgroup) {
    out += " in " + caller.cgroup->path + " unit \"" + caller.cgroup->unit + "\" container \"" +
           caller.cgroup->container + "\"";
  }
  return out + (caller.elevated ? " elevated" : "") + (caller.known ? "" : " unknown") +
         (caller.direct ? " direct" : "");
}

std::string text_of(const reference::Request& request) {
  return std::string(to_string(request.service)) + " " + request.method + " " + request.path + "?" + request.query +
         (request.exempt ? " exempt" : "");
}

/// What failed, to be read and to be made a test of.
std::string told(const std::optional<RuleItem>& item, const identity::ConnectionIdentity& caller, const Asked& asked,
                 Matching matching) {
  return std::string(to_string(matching)) + "\n" + (item ? text_of(*item) : "no rules") + "\n" + text_of(caller) +
         "\n" + text_of(asked.request());
}

bool permits(const Decision& decision) { return std::holds_alternative<policy::Permit>(decision); }

const policy::Verdicts& verdicts_of(const Decision& decision) {
  const auto* permit = std::get_if<policy::Permit>(&decision);
  return permit != nullptr ? permit->verdicts() : std::get<policy::Denial>(decision).verdicts;
}

const policy::DryRun& dry_run_of(const Decision& decision) {
  const auto* permit = std::get_if<policy::Permit>(&decision);
  return permit != nullptr ? permit->dry_run() : std::get<policy::Denial>(decision).dry_run;
}

std::string word(policy::Verdict verdict) {
  switch (verdict) {
    case policy::Verdict::kAllow:
      return "allow";
    case policy::Verdict::kDeny:
      return "deny";
    case policy::Verdict::kReject:
      return "reject";
    case policy::Verdict::kNotRun:
      break;
  }
  return "not run";
}

/// Runs of a property by what came out, so that a campaign shows that it met each kind.
class Tally {
 public:
  explicit Tally(std::string what) : what_(std::move(what)) {}
  ~Tally() {
    std::string line = what_ + ":";
    for (const auto& [kind, count] : counts_) {
      line += " " + kind + " " + std::to_string(count) + ";";
    }
    std::puts(line.c_str());
  }
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;
  void add(const std::string& kind) { ++counts_[kind]; }
  std::size_t of(const std::string& kind) const { return counts_.contains(kind) ? counts_.at(kind) : 0; }

 private:
  std::string what_;
  std::map<std::string, std::size_t> counts_;
};

/// The property holds, and its cases met each of `kinds`.
template <class Property>
void check_and_meet(const char* name, const Tally& tally, std::initializer_list<const char*> kinds, Property property) {
  const auto met = [&tally](const char* kind) { return tally.of(kind) > 0; };
  EXPECT_TRUE(check_until(name, [&] { return std::ranges::all_of(kinds, met); }, property));
}

request::Fault canonical(std::string_view raw, reference::Path& out) {
  request::Arena arena;
  request::CanonicalPath path;
  const request::Fault fault = request::canonicalize_path(raw, arena, path);
  out.fault = request::canon_name(fault);
  if (fault == request::Fault::kNone) {
    out.segments.assign(path.segments.begin(), path.segments.end());
    out.trailing_slash = path.trailing_slash;
  }
  return fault;
}

request::Fault canonical(std::string_view raw, reference::Query& out) {
  request::Arena arena;
  request::CanonicalQuery query;
  const request::Fault fault = request::canonicalize_query(raw, arena, query);
  out.fault = request::canon_name(fault);
  if (fault == request::Fault::kNone) {
    for (const request::QueryPair& pair : query.pairs) {
      out.pairs.emplace_back(pair.key, pair.value);
    }
  }
  return fault;
}

TEST(Properties, ACanonicalPathIsThatOfTheReferenceAndItsOwn) {
  Tally tally("canonical paths");
  check_and_meet("canonical paths", tally, {"accepted"}, [&](std::uint32_t salt) {
    Choices random = choices(40, salt);
    const std::string raw = random_path(random);
    reference::Path once;
    canonical(raw, once);
    const reference::Path expected = reference::canonical_path(raw);
    tally.add(expected.fault.empty() ? "accepted" : expected.fault);
    RC_ASSERT(once.fault == expected.fault);
    if (!once.fault.empty()) {
      return;
    }
    RC_ASSERT(once.segments == expected.segments && once.trailing_slash == expected.trailing_slash);
    reference::Path twice;
    RC_ASSERT(canonical(reference::render(once), twice) == request::Fault::kNone);
    RC_ASSERT(twice.segments == once.segments && twice.trailing_slash == once.trailing_slash);
  });
}

TEST(Properties, ACanonicalQueryIsThatOfTheReferenceAndItsOwn) {
  Tally tally("canonical queries");
  check_and_meet("canonical queries", tally, {"accepted"}, [&](std::uint32_t salt) {
    Choices random = choices(40, salt);
    const std::string raw = random_query(random);
    reference::Query once;
    canonical(raw, once);
    const reference::Query expected = reference::canonical_query(raw);
    tally.add(expected.fault.empty() ? "accepted" : expected.fault);
    RC_ASSERT(once.fault == expected.fault);
    if (!once.fault.empty()) {
      return;
    }
    RC_ASSERT(once.pairs == expected.pairs);
    reference::Query twice;
    RC_ASSERT(canonical(reference::render(once), twice) == request::Fault::kNone);
    RC_ASSERT(twice.pairs == once.pairs);
  });
}

/// All that a decision says, against the reference.
void check_decision(const std::optional<RuleItem>& item, const policy::Snapshot& snapshot,
                    const identity::ConnectionIdentity& caller, const Asked& asked, Tally& tally) {
  const Matching matching = snapshot.matching;
  const Decision decision = policy::decide(caller, asked.view(), snapshot);
  const std::string words = reference::words_of(decision);
  tally.add(words);
  if (words != reference::decide(item, matching, caller, asked.request())) {
    RC_FAIL(words + ", the reference says " + reference::decide(item, matching, caller, asked.request()) + ": " +
            told(item, caller, asked, matching));
  }
  const policy::Verdicts& verdicts = verdicts_of(decision);
  if (verdicts.legacy != policy::Verdict::kNotRun) {
    RC_ASSERT(word(verdicts.legacy) == reference::legacy_verdict(*item, caller, asked.request()));
  }
  if (verdicts.canonical != policy::Verdict::kNotRun) {
    RC_ASSERT(word(verdicts.canonical) == reference::canonical_verdict(*item, caller, asked.request()));
  }
  const std::string dry_run = word(dry_run_of(decision).verdict);
  const bool rules_ran = verdicts.legacy != policy::Verdict::kNotRun || verdicts.canonical != policy::Verdict::kNotRun;
  const Matching deciding = matching == Matching::kShadow ? Matching::kOff : matching;
  RC_ASSERT(dry_run == (rules_ran ? reference::dry_run_verdict(*item, deciding, caller, asked.request()) : "not run"));
  if (dry_run != "not run") {
    tally.add("dry run " + dry_run);
  }
  if (const auto* permit = std::get_if<policy::Permit>(&decision)) {
    RC_ASSERT(permit->service() == asked.request().service && permit->exempt() == asked.request().exempt);
    // The rule that a Permit names is one that really gives this.
    if (permit->ground() == policy::Ground::kRule) {
      RC_ASSERT(reference::grants(*item, matching, permit->names(), caller, asked.request()));
    }
  }
}

TEST(Properties, DecideIsWhatTheReferenceSays) {
  Tally tally("decisions");
  const auto kinds = {"permit rule",        "permit default_access", "deny no_rule",  "deny identity_mismatch",
                      "deny explicit_deny", "deny rules_unusable",   "dry run allow", "dry run deny"};
  check_and_meet("decide = reference", tally, kinds, [&](std::uint32_t salt) {
    Choices random = choices(250, salt);
    std::optional<RuleItem> item;
    if (!random.chance(4)) {
      item = random_item(random, Names::kMayRepeat);
    }
    const Matching matching = random.one_of(kMatchings);
    const policy::Snapshot snapshot = snapshot_of(item, matching);
    for (std::size_t i = 0; i < kRequests; ++i) {
      const Asked asked(random_request(random, item.value_or(RuleItem())));
      check_decision(item, snapshot, random_caller(random, item.value_or(RuleItem())), asked, tally);
    }
  });
}

TEST(Properties, WithoutAnAssignmentNothingMoreIsOpen) {
  Tally tally("an assignment removed");
  check_and_meet("removing an assignment never opens", tally, {"closed"}, [&](std::uint32_t salt) {
    Choices random = choices(250, salt);
    RuleItem item = random_item(random, Names::kMayRepeat);
    if (!item.rules || item.rules->role_assignments->empty()) {
      return;
    }
    const Matching matching = random.one_of(kMatchings);
    const policy::Snapshot before = snapshot_of(item, matching);
    const RuleItem whole = item;
    auto& assignments = *item.rules->role_assignments;
    const auto removed = assignments.begin() + static_cast<std::ptrdiff_t>(random.below(assignments.size()));
    if (removed->openmsp.deny) {
      return;
    }
    assignments.erase(removed);
    const policy::Snapshot after = snapshot_of(item, matching);
    for (std::size_t i = 0; i < kRequests; ++i) {
      const identity::ConnectionIdentity caller = random_caller(random, item);
      const Asked asked(random_request(random, item));
      const bool open = permits(policy::decide(caller, asked.view(), before));
      const bool still = permits(policy::decide(caller, asked.view(), after));
      tally.add(open == still ? "same" : "closed");
      if (still && !open) {
        RC_FAIL("opened: " + told(whole, caller, asked, matching));
      }
    }
  });
}

TEST(Properties, AnAddedDenyOnlyCloses) {
  Tally tally("a deny added");
  check_and_meet("adding a deny never opens", tally, {"deny explicit_deny"}, [&](std::uint32_t salt) {
    Choices random = choices(250, salt);
    const RuleItem item = random_item(random, Names::kMayRepeat);
    if (!item.rules) {
      return;
    }
    RuleItem more = item;
    auto& assignments = *more.rules->role_assignments;
    assignments.insert(assignments.begin() + static_cast<std::ptrdiff_t>(random.below(assignments.size() + 1)),
                       random_deny(random, item));
    const Matching matching = random.one_of(kMatchings);
    const policy::Snapshot before = snapshot_of(item, matching);
    const policy::Snapshot after = snapshot_of(more, matching);
    for (std::size_t i = 0; i < kRequests; ++i) {
      const identity::ConnectionIdentity caller = random_caller(random, item);
      const Asked asked(random_request(random, item));
      const std::string was = reference::words_of(policy::decide(caller, asked.view(), before));
      const std::string is = reference::words_of(policy::decide(caller, asked.view(), after));
      tally.add(was == is ? "same" : is);
      // It only ever denies, and says so; nobody else notices it.
      const bool closes = is.ends_with("explicit_deny") || is == "deny rules_unusable";
      if (was != is && (!closes || (is.starts_with("permit") && !was.starts_with("permit")))) {
        RC_FAIL(was + " became " + is + " with " + text_of(more) + ": " + told(item, caller, asked, matching));
      }
    }
  });
}

TEST(Properties, DryRunsHaveNoEffect) {
  Tally tally("without dry runs");
  check_and_meet("dry runs have no effect", tally, {"dry run allow", "dry run deny"}, [&](std::uint32_t salt) {
    Choices random = choices(250, salt);
    const RuleItem item = random_item(random, Names::kMayRepeat);
    const Matching matching = random.one_of(kMatchings);
    if (!item.rules || !RuleSet::refusals(item, matching).empty()) {
      return;
    }
    RuleItem less = item;
    std::erase_if(*less.rules->role_assignments, [](const RuleAssignment& a) { return a.openmsp.dry_run; });
    const policy::Snapshot with = snapshot_of(item, matching);
    const policy::Snapshot without = snapshot_of(less, matching);
    for (std::size_t i = 0; i < kRequests; ++i) {
      const identity::ConnectionIdentity caller = random_caller(random, item);
      const Asked asked(random_request(random, item));
      const Decision decision = policy::decide(caller, asked.view(), with);
      tally.add("dry run " + word(dry_run_of(decision).verdict));
      RC_ASSERT(reference::words_of(decision) == reference::words_of(policy::decide(caller, asked.view(), without)));
    }
  });
}

template <class T>
void permute(Choices& random, std::vector<T>& items) {
  for (std::size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[random.below(i)]);
  }
}

template <class T>
void permute(Choices& random, std::optional<std::vector<T>>& items) {
  if (items) {
    permute(random, *items);
  }
}

void permute(Choices& random, RuleSections& rules) {
  permute(random, rules.privileges);
  permute(random, rules.roles);
  permute(random, rules.identities);
  permute(random, rules.role_assignments);
  for (RulePrivilege& privilege : *rules.privileges) {
    permute(random, privilege.query_parameters);
  }
  for (RuleRole& role : *rules.roles) {
    permute(random, role.privileges);
  }
  for (RuleAssignment& assignment : *rules.role_assignments) {
    permute(random, assignment.identities);
  }
}

TEST(Properties, TheOrderOfElementsPlaysNoPart) {
  Tally tally("permuted");
  check_and_meet("order of elements", tally, {"permit rule"}, [&](std::uint32_t salt) {
    Choices random = choices(400, salt);
    const RuleItem item = random_item(random, Names::kUnique);
    if (!item.rules) {
      return;
    }
    RuleItem permuted = item;
    permute(random, *permuted.rules);
    const Matching matching = random.one_of(kMatchings);
    const policy::Snapshot one = snapshot_of(item, matching);
    const policy::Snapshot other = snapshot_of(permuted, matching);
    for (std::size_t i = 0; i < kRequests; ++i) {
      const identity::ConnectionIdentity caller = random_caller(random, item);
      const Asked asked(random_request(random, item));
      const Decision a = policy::decide(caller, asked.view(), one);
      const Decision b = policy::decide(caller, asked.view(), other);
      tally.add(reference::words_of(a));
      if (reference::words_of(a) != reference::words_of(b)) {
        RC_FAIL(reference::words_of(a) + " became " + reference::words_of(b) + " as " + text_of(permuted) + ": " +
                told(item, caller, asked, matching));
      }
      RC_ASSERT(verdicts_of(a).legacy == verdicts_of(b).legacy);
      RC_ASSERT(verdicts_of(a).canonical == verdicts_of(b).canonical);
      RC_ASSERT(dry_run_of(a).verdict == dry_run_of(b).verdict);
    }
  });
}

bool same(const policy::Privilege& a, const policy::Privilege& b) {
  return a.name == b.name && a.legacy_query == b.legacy_query && a.roles == b.roles && a.methods == b.methods &&
         std::ranges::equal(a.canonical_query, b.canonical_query,
                            [](const auto& x, const auto& y) { return x.key == y.key && x.values == y.values; });
}

bool same(const policy::SpecialGrants& a, const policy::SpecialGrants& b) {
  return std::ranges::equal(a.entries, b.entries, [](const auto& x, const auto& y) {
    return x.holders.privilege == y.holders.privilege && x.holders.roles == y.holders.roles &&
           x.holders.privileges == y.holders.privileges;
  });
}

bool same(const std::shared_ptr<const policy::PlaceRule>& a, const std::shared_ptr<const policy::PlaceRule>& b) {
  return a == b || (a && b && a->unit == b->unit && a->cgroup == b->cgroup && a->container == b->container);
}

bool same(const RuleSet& a, const RuleSet& b) {
  const auto same_role = [](const policy::RoleGrant& x, const policy::RoleGrant& y) {
    return x.name == y.name && x.identities == y.identities && x.effect == y.effect;
  };
  const auto same_identity = [](const policy::IdentityRule& x, const policy::IdentityRule& y) {
    return x.name == y.name && x.user == y.user && x.group == y.group && x.process == y.process && x.exe == y.exe &&
           same(x.place, y.place);
  };
  return a.id() == b.id() && a.mode() == b.mode() && a.default_allow() == b.default_allow() && a.notes() == b.notes() &&
         a.unusable() == b.unusable() && same(a.denies(), b.denies()) && same(a.dry_runs(), b.dry_runs()) &&
         a.exe_paths() == b.exe_paths() &&
         std::ranges::equal(a.privileges(), b.privileges(), [](const auto& x, const auto& y) { return same(x, y); }) &&
         std::ranges::equal(a.roles(), b.roles(), same_role) &&
         std::ranges::equal(a.identities(), b.identities(), same_identity);
}

TEST(Properties, RulesThatAreWrittenAndReadAgainAreTheSame) {
  EXPECT_TRUE(rc::check("compile, print, compile", [] {
    Choices random = choices(250, 0);
    RuleItem item = random_item(random, Names::kMayRepeat);
    if (item.rules) {
      for (RulePrivilege& privilege : *item.rules->privileges) {
        privilege.path = utf8_repair(privilege.path);  // JSON holds nothing else
      }
    }
    const Matching matching = random.one_of(kMatchings);
    const std::string text = text_of(item);
    const Result<RuleItem> again = parse_rule_item(text, Source::kHost);
    RC_ASSERT(static_cast<bool>(again));
    if (*again != item || text_of(*again) != text) {
      RC_FAIL(text + " became " + text_of(*again));
    }
    const policy::Snapshot one = snapshot_of(item, matching);
    const policy::Snapshot other = snapshot_of(*again, matching);
    RC_ASSERT(same(*one.of(Service::kImds), *other.of(Service::kImds)));
    for (std::size_t i = 0; i < kRequests; ++i) {
      const identity::ConnectionIdentity caller = random_caller(random, item);
      const Asked asked(random_request(random, item));
      RC_ASSERT(reference::words_of(policy::decide(caller, asked.view(), one)) ==
                reference::words_of(policy::decide(caller, asked.view(), other)));
    }
  }));
}

}  // namespace
}  // namespace msp::test
