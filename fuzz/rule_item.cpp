// SPDX-License-Identifier: Apache-2.0
// Rules as a host sends them. Whatever is read can be written, and then reads, compiles and decides the same; the
// engine decides about requests made from the item's own paths as the reference does, in each matching.
#include <algorithm>
#include <functional>

#include "fuzz/check.h"
#include "request/canonical_request.h"
#include "tests/policy/random_policy.h"
#include "tests/policy/reference_text.h"

namespace {

using namespace msp;
namespace reference = msp::test::reference;

std::string text_of(const RuleItem& item) {
  json::Writer writer;
  write_rule_item(writer, item);
  return std::move(writer).take();
}

std::size_t size_of(const RuleItem& item) {
  if (!item.rules || !item.rules->privileges || !item.rules->role_assignments) {
    return 0;
  }
  return item.rules->privileges->size() + item.rules->role_assignments->size();
}

/// The reference is exact beside a capital sigma only for the characters that it knows, and says nothing about keys
/// that fold alike.
bool reference_knows(const RuleItem& item) {
  if (text_of(item).contains('\xce') || text_of(item).contains("%CE") || text_of(item).contains("%ce")) {
    return false;
  }
  for (const RulePrivilege& privilege :
       item.rules&& item.rules->privileges ? *item.rules->privileges : std::vector<RulePrivilege>()) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : privilege.query_parameters) {
      keys.push_back(reference::lower(key));
    }
    std::ranges::sort(keys);
    if (std::ranges::adjacent_find(keys) != keys.end()) {
      return false;
    }
  }
  return true;
}

void check_decision(const RuleItem& item, const RuleItem& again, policy::Matching matching, test::Choices& choices) {
  policy::Snapshot one;
  policy::Snapshot other;
  one.matching = other.matching = matching;
  one.rules.fill(policy::RuleSet::compile(item, matching));
  other.rules.fill(policy::RuleSet::compile(again, matching));
  FUZZ_CHECK(one.of(Service::kImds)->notes() == other.of(Service::kImds)->notes());
  for (int i = 0; i < 3; ++i) {
    const identity::ConnectionIdentity caller = test::random_caller(choices, item);
    const reference::Request request = test::random_request(choices, item);
    http::Target target;
    target.path = request.path;
    target.query = request.query;
    request::Arena arena;
    request::CanonicalRequest canonical;
    policy::RequestView view{.service = request.service,
                             .exempt = request.exempt,
                             .method = request.method,
                             .path = request.path,
                             .query = request.query};
    view.fault = request::canonicalize(request.method, target, arena, canonical);
    view.canonical = view.fault == request::Fault::kNone ? &canonical : nullptr;
    const std::string words = reference::words_of(policy::decide(caller, view, one));
    FUZZ_CHECK(words == reference::words_of(policy::decide(caller, view, other)));
    if (reference_knows(item) && reference::decode(request.path).find('\xce') == std::string::npos &&
        reference::decode(request.query).find('\xce') == std::string::npos) {
      FUZZ_CHECK(words == reference::decide(item, matching, caller, request));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = msp::fuzz::text(data, size);
  const Result<RuleItem> item = parse_rule_item(input, Source::kHost);
  if (!item) {
    FUZZ_CHECK(!item.error().text().empty());
    return 0;
  }
  const std::string text = text_of(*item);
  const Result<RuleItem> again = parse_rule_item(text, Source::kHost);
  FUZZ_CHECK(again && text_of(*again) == text);
  if (!item->problems.empty() || (item->rules && !item->rules->problems.empty())) {
    // What was not understood is not written, and the mark that stands for it closes as well.
    FUZZ_CHECK(!policy::RuleSet::compile(*item, policy::Matching::kOff)->unusable().empty());
    FUZZ_CHECK(!policy::RuleSet::compile(*again, policy::Matching::kOff)->unusable().empty());
    return 0;
  }
  FUZZ_CHECK(*again == *item);
  if (size_of(*item) > 40) {
    return 0;  // the reference is slow
  }
  test::Choices choices = test::Choices::series(std::hash<std::string_view>()(input), 400);
  for (const policy::Matching matching :
       {policy::Matching::kOff, policy::Matching::kShadow, policy::Matching::kEnforce}) {
    check_decision(*item, *again, matching, choices);
  }
  return 0;
}
