// SPDX-License-Identifier: Apache-2.0
#include "content/load_balancer.h"

namespace msp::content {
namespace {

constexpr json::Range kPort{.min = 0, .max = 65535};

/// True if there is one.
bool write_addresses(json::Writer& writer, const json::Value& instance) {
  bool any = false;
  writer.key("publicIpAddresses").begin_array();
  for (const json::Value& interface : *instance.at("/network/interface")->array()) {
    for (const json::Value& address : *interface.at("/ipv4/ipAddress")->array()) {
      const std::string& open = *address.find("publicIpAddress")->string();
      if (!open.empty()) {
        writer.begin_object().field("frontendIpAddress", open);
        writer.field("privateIpAddress", *address.find("privateIpAddress")->string()).end_object();
        any = true;
      }
    }
  }
  writer.end_array();
  return any;
}

bool write_rules(json::Writer& writer, json::ObjectReader& from, std::string_view name, bool inbound) {
  bool any = false;
  writer.key(name).begin_array();
  from.each_object(name, [&](json::ObjectReader& rule) {
    any = true;
    writer.begin_object().field("frontendIpAddress", rule.string("frontendIpAddress"));
    if (inbound) {
      writer.field("protocol", rule.string("protocol")).field("frontendPort", rule.integer("frontendPort", kPort));
      writer.field("backendPort", rule.integer("backendPort", kPort));
    }
    writer.field("privateIpAddress", rule.string("privateIpAddress")).end_object();
    rule.finish();
  });
  writer.end_array();
  return any;
}

}  // namespace

std::string load_balancer_text(const json::Value& model, const json::Value& instance, const std::string& pointer,
                               json::Problems& problems) {
  static const json::Value kNothing{json::Object{}};
  const json::Value* given = model.at("/openmsp/loadBalancer");
  json::ObjectReader from(given == nullptr ? kNothing : *given, pointer + "/openmsp/loadBalancer", problems);
  json::Writer writer;
  writer.begin_object().key("loadbalancer").begin_object();
  bool any = write_addresses(writer, instance);
  any = write_rules(writer, from, "inboundRules", true) || any;
  any = write_rules(writer, from, "outboundRules", false) || any;
  from.finish();
  writer.end_object().end_object();
  return any ? std::move(writer).take() : std::string();
}

}  // namespace msp::content
