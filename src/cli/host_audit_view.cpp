// SPDX-License-Identifier: Apache-2.0
#include "cli/host_audit_view.h"

#include <fmt/core.h>

#include <set>
#include <utility>

#include "cli/json_leaf.h"

namespace msp::cli {
namespace {

/// As the access log names what is known of a caller, so that one can be searched for in the other.
std::string caller_of(const json::Value& row) {
  std::string out;
  for (const auto& [name, pointer] : {std::pair<std::string_view, std::string_view>{"uid", "/caller/uid"},
                                      {"user", "/caller/user"},
                                      {"exe", "/caller/executable"},
                                      {"process", "/caller/process"},
                                      {"unit", "/caller/unit"}}) {
    if (const std::string text = leaf(row, pointer); text != "-" && !text.empty()) {
      out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, text);
    }
  }
  return out.empty() ? "not named" : out;
}

std::string row_view(const json::Value& row) {
  const std::string count = leaf(row, "/count");
  std::string out = fmt::format("{} {}: {} by {}, {} time{}\n", leaf(row, "/service"), leaf(row, "/reason"),
                                leaf(row, "/outcome") == "refused" ? "was refused" : "would be refused",
                                leaf(row, "/by") == "rules" ? "the rules" : "the host", count, count == "1" ? "" : "s");
  out += fmt::format("  caller  {}\n", caller_of(row));
  out += fmt::format("  first   {}\n", leaf(row, "/first"));
  out += fmt::format("  last    {} {} {}, request {}\n", leaf(row, "/last"), leaf(row, "/lastRequest/method"),
                     leaf(row, "/lastRequest/path"), leaf(row, "/lastRequest/id"));
  return out;
}

}  // namespace

std::string audit_view(const json::Value& report) {
  if (leaf(report, "/since") == "-") {
    return "nothing was refused, and no service of this machine that is in audit mode has been asked for anything\n";
  }
  std::string out = fmt::format("since {}: {} requests to services in audit mode\n", leaf(report, "/since"),
                                leaf(report, "/requests"));
  const json::Array& rows = items(report, "value");
  if (rows.empty()) {
    out += "nothing was refused, and enforcing would have refused none of them\n";
  }
  std::set<std::string> said;  // each remedy once, however many callers it is for
  bool named = true;
  for (const json::Value& row : rows) {
    out += "\n" + row_view(row);
    const std::string remedy = leaf(row, "/remedy");
    if (!remedy.empty() && said.insert(remedy).second) {
      out += fmt::format("  -> {}\n", remedy);
    }
    named = named && row.at("/caller/uid") != nullptr;
  }
  if (leaf(report, "/others") != "0") {
    out += fmt::format("\n{} more requests were refused, or would be, beyond what is kept\n", leaf(report, "/others"));
    out += "  -> mspctl vm audit-forget VM makes room\n";
  }
  if (!named && leaf(report, "/namesCallers") != "true") {
    out +=
        "\nno caller was named: who sends unsigned requests is never known; of signed ones the guest's agent is asked\n"
        "  -> set verification.callerHeader to always to know it of services that enforce, too (docs/host.md)\n";
  }
  return out;
}

}  // namespace msp::cli
