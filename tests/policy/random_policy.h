// SPDX-License-Identifier: Apache-2.0
// Rule items, callers and requests from a small alphabet that makes them collide: prefixes of each other, slashes,
// dots, matrix parameters, escapes, repeated keys, letters that fold to others; with what OpenMSP adds. Pure functions
// of their choices; any thread. Nothing fails.
#pragma once

#include "tests/policy/choices.h"
#include "tests/policy/reference_evaluator.h"

namespace msp::test {

enum class Names : unsigned char {
  kMayRepeat,  ///< names may be repeated, and references may dangle
  kUnique,     ///< every element has its own name; references may dangle
};

RuleItem random_item(Choices& choices, Names names);
/// An assignment with effect deny, of a role and of identities that are there.
RuleAssignment random_deny(Choices& choices, const RuleItem& item);
/// Every second one is as an identity of `item` asks.
identity::ConnectionIdentity random_caller(Choices& choices, const RuleItem& item);
/// Origin-form, of bytes that http lets through. Most are made from a path and a query of `item`.
reference::Request random_request(Choices& choices, const RuleItem& item);

/// Bytes of any kind, as a rule's path may hold; `/`, `.`, `;`, `%` and their escapes are frequent.
std::string random_path(Choices& choices);
std::string random_query(Choices& choices);

}  // namespace msp::test
