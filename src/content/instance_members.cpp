// SPDX-License-Identifier: Apache-2.0
// What /metadata/instance says and no export does: members of ours in the model, read as strictly as our other ones.
#include <fmt/format.h>

#include <cstdint>

#include "content/instance.h"

namespace msp::content {
namespace {

void check_compute(json::ObjectReader& compute) {
  for (const std::string_view name : {"azEnvironment", "physicalZone", "placementGroupId", "platformSubFaultDomain"}) {
    compute.string(name, "");
  }
  compute.boolean("isHostCompatibilityLayerVm", false);
  json::ObjectReader storage = compute.object("storageProfile");
  json::ObjectReader disk = storage.object("resourceDisk");
  constexpr std::int64_t kMostKilobytes = std::int64_t{1} << 40;
  disk.integer("size", 0, {.min = 0, .max = kMostKilobytes});
  disk.finish();
  storage.finish();
  compute.finish();
}

}  // namespace

void check_instance_members(const json::Value& model, const std::string& pointer, json::Problems& problems) {
  if (const json::Value* given = model.find("openmsp"); given != nullptr && !given->is_null()) {
    json::ObjectReader ours(*given, pointer + "/openmsp", problems);
    ours.raw("loadBalancer");  // read by who makes its answer
    if (const json::Value* compute = ours.raw("compute"); compute != nullptr && !compute->is_null()) {
      json::ObjectReader reader(*compute, pointer + "/openmsp/compute", problems);
      check_compute(reader);
    }
    ours.finish();
  }
  constexpr std::string_view kDisks = "/properties/storageProfile/dataDisks";
  const json::Value* disks = model.at(kDisks);
  const json::Array* all = disks == nullptr ? nullptr : disks->array();
  for (std::size_t i = 0; all != nullptr && i < all->size(); ++i) {
    if (const json::Value* given = (*all)[i].find("openmsp"); given != nullptr && !given->is_null()) {
      json::ObjectReader ours(*given, fmt::format("{}{}/{}/openmsp", pointer, kDisks, i), problems);
      ours.boolean("isSharedDisk", false);
      ours.finish();
    }
  }
}

}  // namespace msp::content
