// SPDX-License-Identifier: Apache-2.0
// Writes rules in another of the forms in which they are kept (protocol.md B.2, E.1, I.2, N).
// Pure; any thread. Members that nobody knows are kept where the target has a place for them.
// What would be decided otherwise afterwards is `lost`: without ConvertOptions::lossy that is an Error which names it.
// What is merely written otherwise, or left out without effect, is a note.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "authoring/rule_source.h"
#include "authoring/rule_text.h"
#include "base/json.h"
#include "base/net.h"
#include "base/result.h"

namespace msp::authoring {

enum class ConvertTo : std::uint8_t { kItem, kServices, kStatus, kProfile, kLocal };

struct ConvertOptions {
  ConvertTo to = ConvertTo::kItem;
  std::optional<Service> service;  ///< which of several to take, or whose a single one is
  std::string mode;                ///< in place of what the text says; empty: as it is
  std::string profile_id;          ///< resource id of the profile to write
  bool lossy = false;
};

struct Conversion {
  json::Value document;
  std::vector<std::string> lost;
  std::vector<std::string> notes;
};

Result<Conversion> convert(const RuleText& text, const RuleSource& source, const ConvertOptions& options);

}  // namespace msp::authoring
