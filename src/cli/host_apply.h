// SPDX-License-Identifier: Apache-2.0
// `apply` and `diff` of `mspctl vm` and `mspctl profile`: files of resources, taken to msp-host byte for byte.
// Called by their commands; single-threaded, blocks.
// Ends with 0 (applied; diff: nothing would change for a guest), 1 (refused; diff: something would), 2 unusable.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace msp::cli {

int vm_apply(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int vm_diff(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int vmss_apply(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int vmss_diff(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int profile_apply(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int profile_diff(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
