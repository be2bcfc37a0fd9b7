// SPDX-License-Identifier: Apache-2.0
// /metadata/loadbalancer: public addresses of a machine, from its network interfaces, and the rules that its model
// names in openmsp.loadBalancer (no export of a machine has them). Pure function; any thread. What is wrong with the
// model is a problem with its place.
#pragma once

#include <string>

#include "base/json.h"
#include "base/json_fields.h"

namespace msp::content {

/// JSON; empty: the machine has neither. `instance` is made of `model`, which stands at `pointer`.
std::string load_balancer_text(const json::Value& model, const json::Value& instance, const std::string& pointer,
                               json::Problems& problems);

}  // namespace msp::content
