// SPDX-License-Identifier: Apache-2.0
// Puts together rules that match the same requests, so that a decision asks for their callers at once: one privilege
// for each user of a path is one question then, and not as many as there are users. Pure; used while a rule set is
// compiled; any thread. Nothing fails.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policy/demand_index.h"
#include "policy/prefix_index.h"
#include "policy/ruleset.h"

namespace msp::policy {

/// Numbers of rules, ascending.
using Alike = std::vector<std::uint32_t>;

/// Rules of one path with the same demands, where there are several of them. Once for each reading: paths that are
/// spelled differently may be the same in one of them.
std::vector<Alike> alike_rules(const PrefixIndex::Paths& paths, const DemandIndex::Demands& demands_of);

/// `first` + i takes the place of the first of groups[i], the others go.
void replace_alike(PrefixIndex::Paths& paths, std::span<const Alike> groups, std::uint32_t first);

/// A role that holds several of the privileges holds the first.
Holders together(std::span<const Holders> all);

}  // namespace msp::policy
