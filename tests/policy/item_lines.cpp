// SPDX-License-Identifier: Apache-2.0
// Says of rule items and local rule files how they are read, for schema_test.py: {"kind": "item" or "file", "value": …}
// a line in; "ok", "shape" (refused as a whole) or "openmsp" (our own fields cannot be read: deny-all) a line out.
#include <cstdio>
#include <fstream>
#include <string>

#include "base/rules_document.h"
#include "policy/ruleset.h"

namespace {

std::string_view verdict(const msp::json::Value& line) {
  const msp::json::Value* const value = line.find("value");
  const msp::json::Value* const kind = line.find("kind");
  if (value == nullptr || kind == nullptr || kind->string() == nullptr) {
    return "a line needs kind and value";
  }
  msp::json::Misfits misfits;
  msp::RuleItem item;
  if (*kind->string() == "item") {
    item = msp::read_rule_item(*value, "", misfits);
  } else {
    msp::LocalRuleFile file = msp::read_local_rule_file(*value, misfits);
    item.rules = std::move(file.rules);
    item.problems = std::move(file.problems);
  }
  if (misfits.any()) {
    return "shape";
  }
  const bool good = item.problems.empty() && (!item.rules || item.rules->problems.empty());
  // Whatever the reader objects to, the compiler must refuse.
  if (!good && msp::policy::RuleSet::compile(item, msp::policy::Matching::kEnforce)->unusable().empty()) {
    return "not refused";
  }
  return good ? "ok" : "openmsp";
}

}  // namespace

int main() {
  std::ifstream in("/dev/stdin");
  for (std::string text; std::getline(in, text);) {
    const auto line = msp::json::parse(text);
    if (!line) {
      std::fprintf(stderr, "item_lines: %s\n", line.error().text().c_str());
      return 1;
    }
    std::printf("%s\n", std::string(verdict(*line)).c_str());
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
