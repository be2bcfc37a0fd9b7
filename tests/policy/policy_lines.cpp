// SPDX-License-Identifier: Apache-2.0
// Answers cases of compare_authorizer.py: one JSON object a line in ({"rules": item or null, "cases": [...]}), one
// array out.
#include <cstdio>
#include <fstream>
#include <string>

#include "tests/policy/evaluate.h"

namespace {

int fail(const msp::Error& error) {
  std::fprintf(stderr, "policy_lines: %s\n", error.text().c_str());
  return 1;
}

void write(msp::json::Writer& out, const msp::test::CaseResult& result) {
  out.begin_object()
      .field("expect_legacy", result.expect_legacy)
      .field("rules_legacy", result.rules_legacy)
      .field("expect_canonical", result.expect_canonical)
      .field("enforce", result.enforce)
      .field("shadow", result.shadow)
      .end_object();
}

}  // namespace

int main() {
  std::ifstream in("/dev/stdin");
  for (std::string line; std::getline(in, line);) {
    auto document = msp::json::parse(line);
    if (!document) {
      return fail(document.error());
    }
    const msp::json::Value* const rules = document->find("rules");
    const msp::json::Value* const cases = document->find("cases");
    if (rules == nullptr || cases == nullptr || cases->array() == nullptr) {
      return fail(msp::config_error("a line needs rules and cases"));
    }
    std::optional<msp::RuleItem> item;
    if (!rules->is_null()) {
      auto parsed = msp::parse_rule_item(std::string_view(line).substr(rules->begin, rules->end - rules->begin),
                                         msp::Source::kHost);
      if (!parsed) {
        return fail(parsed.error());
      }
      item = *parsed;
    }
    const msp::test::CompiledItem compiled = msp::test::compile_item(item);
    msp::json::Writer out;
    out.begin_array();
    for (const msp::json::Value& value : *cases->array()) {
      auto result = msp::test::evaluate_case(compiled, value);
      if (!result) {
        return fail(result.error());
      }
      write(out, *result);
    }
    out.end_array();
    std::puts(std::move(out).take().c_str());
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
