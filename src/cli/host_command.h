// SPDX-License-Identifier: Apache-2.0
// `mspctl vm`, `mspctl profile` and `mspctl key`: the models of a running msp-host.
// Called by cli::run; single-threaded.
// Ends with 0 done, 1 the host refused (nothing has changed), 2 it could not be asked (not running, bad options).
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int vm_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int vmss_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int profile_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int host_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int key_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
