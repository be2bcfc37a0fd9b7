// SPDX-License-Identifier: Apache-2.0
#include "cli/complaint.h"

#include <fmt/core.h>

#include "base/log.h"

namespace msp::cli {

std::string complaint(std::string_view who, std::string_view what, std::string_view remedy) {
  std::string out = fmt::format("{}: ", who);
  for (;;) {
    const auto end = what.find('\n');
    out += log::escape(what.substr(0, end)) + "\n";
    if (end == std::string_view::npos) {
      break;
    }
    what.remove_prefix(end + 1);
    // A line of a list of problems is indented already.
    out += what.starts_with("  ") ? "" : "  ";
  }
  return remedy.empty() ? out : out + fmt::format("  -> {}\n", log::escape(remedy));
}

}  // namespace msp::cli
