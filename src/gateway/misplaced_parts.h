// SPDX-License-Identifier: Apache-2.0
// The parts of looking for what is misplaced, by kind of resource: only for misplaced*.cpp.
// Pure functions of values; the loop's thread.
// What is found is added to the findings; `resource` is an object.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gateway/findings.h"
#include "gateway/model_store.h"

namespace msp::gateway {

/// Security settings of a machine, or of a scale set.
void refuse_settings(const json::Value& resource, ResourceKind kind, Findings& findings);
/// What versions of profiles say, each at its level.
void refuse_in_profile(const json::Value& resource, ResourceKind kind, Findings& findings);

/// What is said in the object at `at` and meant for one of `names`.
void refuse_near(const json::Value& resource, const std::string& at, std::span<const std::string_view> names,
                 Findings& findings);
/// The same as one of `names` in other letters, which readers pass over.
void refuse_spellings(const json::Value& resource, std::span<const std::string_view> names, Findings& findings);

}  // namespace msp::gateway
