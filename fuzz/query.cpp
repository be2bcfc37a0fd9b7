// SPDX-License-Identifier: Apache-2.0
// Queries, in both readings. The first line is what a rule demands ("key=value", without escapes), the rest the query
// of a request: the canonical pairs are those of the reference and their own canonical form; the legacy reading finds
// what the reference finds.
#include <algorithm>

#include "fuzz/check.h"
#include "policy/legacy_query.h"
#include "request/canonical_query.h"
#include "tests/policy/reference_evaluator.h"
#include "tests/policy/reference_text.h"

namespace {

using namespace msp::request;
namespace reference = msp::test::reference;

std::vector<reference::Pair> pairs_of(const CanonicalQuery& query) {
  std::vector<reference::Pair> out;
  for (const QueryPair& pair : query.pairs) {
    out.emplace_back(pair.key, pair.value);
  }
  return out;
}

void check_canonical(std::string_view raw) {
  Arena arena;
  CanonicalQuery query;
  const Fault fault = canonicalize_query(raw, arena, query);
  const reference::Query expected = reference::canonical_query(raw);
  FUZZ_CHECK(canon_name(fault) == expected.fault);
  if (fault != Fault::kNone) {
    return;
  }
  FUZZ_CHECK(pairs_of(query) == expected.pairs);
  FUZZ_CHECK(std::ranges::is_sorted(query.pairs, {}, &QueryPair::key));
  Arena arena_again;
  CanonicalQuery again;
  FUZZ_CHECK(canonicalize_query(reference::render(expected), arena_again, again) == Fault::kNone);
  FUZZ_CHECK(pairs_of(again) == expected.pairs);
}

/// What the reference does with a capital sigma is exact only beside the characters that it knows.
bool may_hold_sigma(std::string_view text) { return text.contains('\xce') || reference::decode(text).contains('\xce'); }

void check_legacy(std::string_view demand, std::string_view raw) {
  if (may_hold_sigma(demand) || may_hold_sigma(raw)) {
    return;
  }
  const reference::Pair pair = reference::cut(demand, '=');
  msp::RuleItem item{.default_access = "deny", .mode = "enforce", .id = "", .rules = msp::RuleSections()};
  item.rules->privileges = {{{.name = "p", .path = "/", .query_parameters = {pair}}}};
  item.rules->roles = {{{.name = "r", .privileges = {"p"}}}};
  item.rules->identities.emplace().emplace_back().name = "everybody";
  item.rules->role_assignments = {{{.role = "r", .identities = {"everybody"}}}};
  reference::Request request;
  request.query = raw;
  const bool expected = reference::legacy_verdict(item, {}, request) == "allow";
  msp::policy::LegacyQuery query(raw, "", std::pmr::get_default_resource());
  const reference::Pair folded(reference::lower(pair.first), reference::lower(pair.second));
  FUZZ_CHECK(query.meets({folded}) == expected);
  // Asked again, and where the text stands in the path, it is the same.
  FUZZ_CHECK(query.meets({folded}) == expected);
  msp::policy::LegacyQuery embedded("", raw, std::pmr::get_default_resource());
  FUZZ_CHECK(embedded.meets({folded}) == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = msp::fuzz::text(data, size);
  const auto [demand, query] = reference::cut(input, '\n');
  if (size < 2000) {  // the reference is slow
    check_canonical(query);
    check_legacy(demand, query);
  }
  return 0;
}
