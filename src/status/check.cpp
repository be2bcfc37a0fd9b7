// SPDX-License-Identifier: Apache-2.0
#include "status/check.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/log.h"

namespace msp::status {
namespace {

constexpr std::array kVerdicts{Verdict::kOk, Verdict::kWarning, Verdict::kFailure};

std::string text(const json::Value& from, std::string_view member) {
  const json::Value* const value = from.find(member);
  return value != nullptr && value->is_string() ? *value->string() : std::string();
}

std::size_t count(const std::vector<Check>& checks, Verdict verdict) {
  return static_cast<std::size_t>(std::ranges::count(checks, verdict, &Check::verdict));
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kFailure:
      return "failure";
  }
  return "failure";
}

Verdict worst_of(const std::vector<Check>& checks) {
  return checks.empty() ? Verdict::kFailure : std::ranges::max(checks, {}, &Check::verdict).verdict;
}

std::string checks_json(const std::vector<Check>& checks) {
  json::Writer w(json::Style::kPretty);
  w.begin_object().key("checks").begin_array();
  for (const Check& check : checks) {
    w.begin_object().field("name", check.name).field("verdict", to_string(check.verdict));
    w.field("what", check.what).field("remedy", check.remedy).end_object();
  }
  w.end_array().field("warnings", count(checks, Verdict::kWarning));
  w.field("failures", count(checks, Verdict::kFailure)).end_object();
  return std::move(w).take();
}

Result<std::vector<Check>> read_checks(std::string_view input) {
  const auto tree = json::parse(input);
  const json::Value* const list = tree ? tree->find("checks") : nullptr;
  if (list == nullptr || list->array() == nullptr) {
    return config_error("these are no checks");
  }
  std::vector<Check> out;
  for (const json::Value& one : *list->array()) {
    // A verdict that is not known is none that is good.
    const auto verdict = std::ranges::find(kVerdicts, text(one, "verdict"), [](Verdict v) { return to_string(v); });
    out.push_back({.name = text(one, "name"),
                   .verdict = verdict == kVerdicts.end() ? Verdict::kFailure : *verdict,
                   .what = text(one, "what"),
                   .remedy = text(one, "remedy")});
  }
  return out;
}

std::string checks_view(const std::vector<Check>& checks) {
  std::string out;
  for (const Check& check : checks) {
    const std::string_view mark = check.verdict == Verdict::kOk        ? "ok"
                                  : check.verdict == Verdict::kWarning ? "WARNING"
                                                                       : "FAILURE";
    out += fmt::format("{:<8} {:<14} {}\n", mark, log::escape(check.name), log::escape(check.what));
    if (!check.remedy.empty()) {
      out += fmt::format("{:<23} -> {}\n", "", log::escape(check.remedy));
    }
  }
  return out + fmt::format("{} checks: {} ok, {} warnings, {} failures\n", checks.size(), count(checks, Verdict::kOk),
                           count(checks, Verdict::kWarning), count(checks, Verdict::kFailure));
}

}  // namespace msp::status
