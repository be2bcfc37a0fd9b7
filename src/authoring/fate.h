// SPDX-License-Identifier: Apache-2.0
// What rules make of a request, compared with another version of them, or with what became of it when it was made.
// Owned by one run of a tool, one thread; a Fate holds views into the rules.
// Nothing is guessed: what a record does not say is tried in every way (possible.h), less what the record itself rules
// out, and where that leaves more than one outcome, the outcome is not known.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authoring/asked.h"
#include "authoring/judge.h"
#include "authoring/possible.h"
#include "authoring/request_line.h"

namespace msp::authoring {

enum class Change : std::uint8_t {
  kNotCompared,  ///< of the other side nothing is known
  kSame,
  kDifferent,
  kUnknown,  ///< it hangs on what the record does not say
};
/// "not_compared", "same", "different", "unknown".
std::string_view to_string(Change change);

struct Fate {
  Judgement judgement;             ///< if there is an outcome: the engine's
  std::optional<Outcome> outcome;  ///< nothing: not known
  std::optional<Outcome> before;   ///< by the other version, or as recorded; nothing: not known
  Change change = Change::kNotCompared;
  Unsaid unsaid;  ///< what is tried in every way
  /// Known only because the record names the rules that decided: those here with that id are taken for them.
  bool by_record = false;
};

class Fates {
 public:
  /// `other`: the version to compare with; without it outcomes are compared with those recorded. `groups_of`: names of
  /// a user's groups, for records that say none; may be empty.
  Fates(policy::Snapshot rules, std::optional<policy::Snapshot> other,
        std::function<std::vector<std::string>(const std::string& user)> groups_of);

  const policy::Snapshot& rules() const { return rules_; }
  Fate of(RequestLine& line);

 private:
  /// Of one way that it may have been.
  struct Way {
    Judgement judgement;
    std::optional<Outcome> before;
    bool as_recorded = false;  ///< the rules that decided then would decide so
  };
  const policy::Snapshot* rules_that_decided(const RequestLine& line) const;
  const PossibleCallers& callers_of(const RequestLine& line, const policy::Snapshot* decided);
  Versions versions(Service service) const;
  void try_target(const RequestLine& line, std::string_view target, const PossibleCallers& callers,
                  const policy::Snapshot* decided, std::vector<Way>& out);
  static Fate sum_up(const std::vector<Way>& ways, bool only_as_recorded);

  policy::Snapshot rules_;
  std::optional<policy::Snapshot> other_;
  std::function<std::vector<std::string>(const std::string& user)> groups_of_;
  std::array<AskedQuery, kServiceCount> asked_query_;
  Asked asked_;
  std::map<std::string, PossibleCallers> known_;  ///< bounded: logs repeat themselves
};

}  // namespace msp::authoring
