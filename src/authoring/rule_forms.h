// SPDX-License-Identifier: Apache-2.0
// What a privilege asks of a request, in the two readings, and requests that ask exactly this.
// Values; any thread. Made from rules of an author, by the folding and canonicalising of the agent itself.
// A reading in which no request can meet a privilege is an absent form.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rules_document.h"
#include "policy/ruleset.h"
#include "request/fault.h"

namespace msp::authoring {

using QueryPairs = std::vector<std::pair<std::string, std::string>>;

/// A request's path and query as they read after decoding.
struct Form {
  std::string path;
  QueryPairs query;
};

struct PrivilegeForms {
  std::optional<Form> legacy;
  std::optional<Form> canonical;  ///< of several values of a key the first
  std::vector<policy::RequiredQuery> canonical_query;
  request::Fault fault = request::Fault::kNone;  ///< why there is no canonical form
};
PrivilegeForms forms_of(const RulePrivilege& privilege);

/// Whether a request for `longer` is one for `prefix` as well, path alone.
bool legacy_covers(const Form& prefix, const Form& longer);
bool canonical_covers(const Form& prefix, const Form& longer);

/// Origin-form; every byte that could be read in another way is escaped.
std::string target_of(const Form& form);
std::string escape(std::string_view text, bool keep_slashes);

}  // namespace msp::authoring
