// SPDX-License-Identifier: Apache-2.0
#include "content/health_report.h"

#include <pugixml.hpp>

#include "base/utf8.h"

namespace msp::content {
namespace {

Error malformed(std::string message) {
  return Error{.source = Source::kClient, .message = std::move(message), .hint = {}, .code = 0};
}

std::string text_of(const pugi::xml_node& parent, const char* name) {
  return std::string(utf8_truncate(utf8_repair(parent.child(name).text().get()), kMostText));
}

}  // namespace

Result<HealthReport> parse_health_report(std::string_view xml) {
  pugi::xml_document document;
  // This reader knows no entities but the five of XML, and skips document types: nothing expands or is fetched.
  const auto parsed =
      document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_trim_pcdata, pugi::encoding_utf8);
  if (!parsed) {
    return malformed(parsed.description());
  }
  const pugi::xml_node container = document.child("Health").child("Container");
  const pugi::xml_node role = container.child("RoleInstanceList").child("Role");
  const pugi::xml_node health = role.child("Health");
  HealthReport report{.container_id = text_of(container, "ContainerId"),
                      .state = text_of(health, "State"),
                      .sub_status = text_of(health.child("Details"), "SubStatus"),
                      .description = text_of(health.child("Details"), "Description")};
  if (report.state != "Ready" && report.state != "NotReady") {
    return malformed("no State of Ready or NotReady");
  }
  return report;
}

}  // namespace msp::content
