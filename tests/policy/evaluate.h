// SPDX-License-Identifier: Apache-2.0
// Runs one case of authorization.json through the engine, in the words of that file.
// Owned by the test program; one thread.
// A case of the wrong shape is an Error; a target that http refuses gives "parse" everywhere.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "base/rules_document.h"
#include "policy/snapshot.h"

namespace msp::test {

/// One item compiled both ways: as `canonicalRequestMode` off (the field's reading) and as enforce (ours).
struct CompiledItem {
  policy::Snapshot off;
  policy::Snapshot shadow;
  policy::Snapshot enforce;
};
CompiledItem compile_item(const std::optional<RuleItem>& item);

struct CaseResult {
  std::string expect_legacy;     ///< complete answer, legacy matching: allow, allow-audit, allow-exempt, deny
  std::string rules_legacy;      ///< bare verdict: allow, deny, no-rules
  std::string expect_canonical;  ///< bare verdict: allow, deny, reject(CODE), no-rules
  std::string enforce;           ///< complete answer, canonical matching
  std::string shadow;            ///< complete answer, legacy matching beside the canonical one

  bool operator==(const CaseResult&) const = default;
};

/// `value`: object with request, claims and service.
Result<CaseResult> evaluate_case(const CompiledItem& item, const json::Value& value);

}  // namespace msp::test
