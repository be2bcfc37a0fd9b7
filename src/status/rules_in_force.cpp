// SPDX-License-Identifier: Apache-2.0
#include "status/rules_in_force.h"

#include <fmt/core.h>

#include "base/json.h"

namespace msp::status {
namespace {

void write_service(json::Writer& w, Service service, const rules::ServiceReport& report) {
  w.begin_object().field("service", to_string(service)).field("source", rules::to_string(report.origin));
  if (report.has_rules) {
    w.field("id", report.id).field("mode", policy::to_string(report.mode));
    w.field("defaultAllowed", report.default_allow);
  }
  w.field("unusable", report.unusable).field("localFailure", report.local_failure).end_object();
}

}  // namespace

Result<std::string> rules_json(const RulesInForce& rules) {
  std::size_t size = 0;
  for (const auto& item : rules.items) {
    size += item ? written_size(*item) : 0;
  }
  if (size > kMostRulesBytes) {
    return config_error(fmt::format("The rules in force are larger than {} MiB.", kMostRulesBytes >> 20),
                        "The newest AuthorizationRules_*.json beside the status file has them.");
  }
  json::Writer w;
  w.begin_object().field("inForce", rules.in_force).field("generation", rules.generation);
  w.field("canonicalRequestMode", rules.matching).field("requests", rules.requests).key("services").begin_array();
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    write_service(w, static_cast<Service>(i), rules.services[i]);
  }
  w.end_array().key("inputRules").begin_object();
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    if (const auto& item = rules.items[i]) {
      w.key(to_string(static_cast<Service>(i)));
      write_rule_item(w, *item);
    }
  }
  w.end_object().end_object();
  return std::move(w).take();
}

}  // namespace msp::status
