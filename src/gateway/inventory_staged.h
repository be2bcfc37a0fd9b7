// SPDX-License-Identifier: Apache-2.0
// A change of the inventory while it is put together: what would be there, and all that is wrong with it.
// For the inventory's own sources only (inventory_stage.cpp, inventory_move.cpp); loop's thread.
// With any fault nothing of it becomes true.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_fields.h"
#include "gateway/inventory.h"
#include "gateway/scale_set.h"

namespace msp::gateway {

struct Inventory::Staged {
  struct Machine {
    std::size_t given = 0;  ///< index of the resource that this is, or that brings the change about
    bool asked_for = false;
    std::vector<Ipv4Address> addresses = {};  ///< beside the model
    std::string network = {};                 ///< beside the model
    Vm vm = {};
  };
  ProfileCatalog profiles;
  std::vector<Resource> resources = {};
  std::map<ResourceName, std::size_t> given = {};
  std::map<std::string, Machine> machines = {};  // by vmId
  struct Set {
    std::size_t given = 0;
    std::shared_ptr<const ScaleSet> set;
    bool good = true;  ///< what it refers to is there; else its instances need not say so again
  };
  std::map<std::string, Set> sets = {};  // by id, lower case
  std::vector<std::pair<std::size_t, VmModel>> models = {};
  std::vector<Fault> faults = {};

  void fail(std::size_t index, std::string pointer, std::string problem, std::string remedy) {
    faults.push_back(
        {.resource = index, .pointer = std::move(pointer), .problem = std::move(problem), .remedy = std::move(remedy)});
  }
  void fail(std::size_t index, const json::Problems& problems) {
    for (const json::Problem& problem : problems.list()) {
      fail(index, problem.pointer, problem.message, remedy_of(problem.pointer));
    }
  }
  /// What to do about a resource that is wrong there.
  static std::string remedy_of(std::string_view pointer) {
    if (pointer.ends_with("/inVMAccessControlProfileReferenceId")) {
      return "apply it first, or along with this; its applicableHostEndpoint must fit";
    }
    if (pointer.ends_with("/certificateUrl")) {
      return "put the certificate into the host's certificateDirectory (docs/host.md)";
    }
    return "mend it in what is given: docs/host.md says how resources are read";
  }
};

}  // namespace msp::gateway
