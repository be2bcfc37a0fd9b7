// SPDX-License-Identifier: Apache-2.0
// Reads the VM model's form of rules: versions of inVMAccessControlProfiles (protocol.md N).
// Pure; any thread. The text comes from an export of resources; members that are not rules are ignored,
// except our own: an `openmsp` stands for a restriction.
// A version that the host would refuse is an Error with its place.
#pragma once

#include "authoring/rule_source.h"

namespace msp::authoring {

/// One resource, or resources in an array, bare or under "value".
bool looks_like_arm(const json::Value& tree);

/// A version is of the service that its profile names, if the text holds the profile too.
Result<RuleSource> read_arm(const RuleText& text);

}  // namespace msp::authoring
