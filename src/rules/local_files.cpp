// SPDX-License-Identifier: Apache-2.0
#include "rules/local_files.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/file.h"

namespace msp::rules {
namespace {

/// A file that is being rewritten in place is unreadable for a moment (I.5).
constexpr int kTries = 3;
constexpr std::chrono::milliseconds kPause(50);

LocalRules failed(Error error, const std::string& path, std::vector<std::string> problems = {}) {
  return {.state = LocalRules::State::kFailed,
          .failure = std::move(error).context(path).text(),
          .problems = std::move(problems)};
}

}  // namespace

LocalRules LocalDirectory::load(Service service) {
  const std::string path = directory_ + (service == Service::kImds ? "/IMDS_Rules.json" : "/WireServer_Rules.json");
  const file::Trust trust{.owner = ::geteuid(), .forbidden = 0022, .check_directory = true};
  for (int attempt = 1;; ++attempt) {
    auto text = file::read(path, trust, rule_text_limits(Source::kConfig).max_bytes);
    if (!text) {
      if (text.error().code == ENOENT) {
        return {};
      }
      return failed(std::move(text).error(), path);
    }
    std::vector<std::string> problems;
    auto parsed = parse_local_rules(*text, &problems);
    if (parsed) {
      if (auto valid = validate(*parsed); !valid) {
        return failed(std::move(valid).error(), path, problems_of(*parsed));
      }
      return {.state = LocalRules::State::kValid, .file = *std::move(parsed)};
    }
    if (attempt == kTries) {
      return failed(std::move(parsed).error(), path, std::move(problems));
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace msp::rules
