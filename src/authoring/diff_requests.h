// SPDX-License-Identifier: Apache-2.0
// Requests at which two versions of rules could decide differently, made from what their privileges ask for.
// Pure; any thread. Only diff.cpp uses it.
// Enough of them: a request that asks just what one privilege asks (or two whose paths lie along one another) matches
// the fewest others, so if two sets differ anywhere, they differ at such a one. The others show the edges.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "authoring/diff_side.h"

namespace msp::authoring {

struct CandidateRequest {
  Form form;
  std::string target;
  int rank = 0;  ///< the plainest are the best witnesses: 0 is what a privilege asks for, 3 what none does
};

struct CandidateRequests {
  std::vector<CandidateRequest> requests;  ///< by rank, each target once
  std::vector<std::string> methods;        ///< GET alone, unless a privilege names methods
  bool joins_bounded = false;              ///< not all pairs of privileges along one path, or not all requests
  std::size_t steps = 0;                   ///< requests that were put together, also those made before
};

CandidateRequests candidate_requests(const DiffSide& a, const DiffSide& b, std::size_t max_steps);

}  // namespace msp::authoring
