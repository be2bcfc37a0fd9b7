// SPDX-License-Identifier: Apache-2.0
#include "content/goal_state.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "content/guid.h"
#include "content/xml_text.h"

namespace msp::content {
namespace {

constexpr std::string_view kWireServer = "http://168.63.129.16:80";
constexpr std::string_view kHostGaPlugin = "http://168.63.129.16:32526";
constexpr std::size_t kBase64Line = 64;

/// A positive number of 31 bits, as agents expect one.
std::string incarnation_of(std::string_view text) { return std::to_string((number_of(text) & 0x7fffffff) | 1); }

/// Names stand in paths and file names of the guest.
std::string role_of(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 80)) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    out += plain ? c : '-';
  }
  return out;
}

std::string text_at(const json::Value& model, std::string_view pointer) {
  const json::Value* value = model.at(pointer);
  return value != nullptr && value->is_string() ? *value->string() : std::string();
}

/// The id up to the name of the resource group; of a model without an id, what makes it one of its own.
std::string group_of(const json::Value& model, std::string_view vm_id) {
  const std::string id = ascii_lower(text_at(model, "/id"));
  const auto providers = id.find("/providers/");
  return providers == std::string::npos ? std::string(vm_id) : id.substr(0, providers);
}

std::string config_url(const GoalState& goal, std::string_view what) {
  return xml_text(fmt::format("{}/machine/{}/{}?comp={}&incarnation={}", kWireServer, goal.container_id,
                              goal.instance_id, what, goal.incarnation));
}

constexpr std::string_view kDeclaration = R"(<?xml version="1.0" encoding="utf-8"?>)";

}  // namespace

GoalState make_goal_state(const json::Value& model, std::string_view vm_id, std::string_view name,
                          const Extensions& extensions, std::string_view certificates) {
  GoalState goal;
  goal.container_id = vm_id;
  goal.deployment_id = guid_of("deployment\n" + group_of(model, vm_id));
  goal.role = role_of(name);
  goal.instance_id = fmt::format("{}._{}", goal.deployment_id, goal.role);
  goal.address = text_at(
      model,
      "/properties/networkProfile/networkInterfaces/0/properties/ipConfigurations/0/properties/privateIPAddress");
  goal.plugins = extensions_xml(extensions);
  goal.has_certificates = !certificates.empty();
  goal.incarnation =
      incarnation_of(fmt::format("{}\n{}\n{}\n{}", goal.instance_id, goal.address, goal.plugins, certificates));
  return goal;
}

std::string goal_state_document(const GoalState& goal) {
  const std::string certificates =
      goal.has_certificates ? fmt::format("<Certificates>{}</Certificates>", config_url(goal, "certificates")) : "";
  return fmt::format(
      "{}<GoalState><Version>{}</Version><Incarnation>{}</Incarnation>"
      "<Machine><ExpectedState>Started</ExpectedState><StopRolesDeadlineHint>300000</StopRolesDeadlineHint></Machine>"
      "<Container><ContainerId>{}</ContainerId><RoleInstanceList><RoleInstance><InstanceId>{}</InstanceId>"
      "<State>Started</State><Configuration><HostingEnvironmentConfig>{}</HostingEnvironmentConfig>"
      "<SharedConfig>{}</SharedConfig><ExtensionsConfig>{}</ExtensionsConfig>{}"
      "<ConfigName>{}.0.{}.{}.1.xml</ConfigName></Configuration></RoleInstance></RoleInstanceList></Container>"
      "</GoalState>",
      kDeclaration, kWireVersion, goal.incarnation, goal.container_id, goal.instance_id,
      config_url(goal, "config&type=hostingEnvironmentConfig"), config_url(goal, "config&type=sharedConfig"),
      config_url(goal, "config&type=extensionsConfig"), certificates, goal.deployment_id, goal.incarnation,
      goal.deployment_id);
}

std::string hosting_environment_document(const GoalState& goal) {
  return fmt::format(
      R"({}<HostingEnvironmentConfig version="1.0.0.0" goalStateIncarnation="{}"><Deployment name="{}"/>)"
      R"(<Incarnation number="1" instance="{}"/><Role name="{}"/></HostingEnvironmentConfig>)",
      kDeclaration, goal.incarnation, goal.deployment_id, goal.role, goal.role);
}

std::string shared_config_document(const GoalState& goal) {
  return fmt::format(
      R"({}<SharedConfig version="1.0.0.0" goalStateIncarnation="{}"><Deployment name="{}" incarnation="1"/>)"
      R"(<Incarnation number="1" instance="{}"/><Role name="{}"/>)"
      R"(<Instances><Instance id="{}" address="{}"/></Instances></SharedConfig>)",
      kDeclaration, goal.incarnation, goal.deployment_id, goal.role, goal.role, goal.instance_id,
      xml_text(goal.address));
}

std::string extensions_document(const GoalState& goal) {
  return fmt::format(
      R"({}<Extensions version="1.0.0.0" goalStateIncarnation="{}"><GuestAgentExtension><GAFamilies/>)"
      R"(</GuestAgentExtension>{}<StatusUploadBlob statusBlobType="BlockBlob">{}</StatusUploadBlob></Extensions>)",
      kDeclaration, goal.incarnation, goal.plugins, status_blob_url(goal.container_id));
}

std::string certificates_document(const GoalState& goal, std::string_view envelope_base64) {
  std::string lines;
  for (std::string_view rest = envelope_base64; !rest.empty(); rest.remove_prefix(std::min(rest.size(), kBase64Line))) {
    lines += rest.substr(0, kBase64Line);
    lines += '\n';
  }
  return fmt::format(
      "{}<CertificateFile><Version>{}</Version><Incarnation>{}</Incarnation><Format>Pkcs7BlobWithPfxContents</Format>"
      "<Data>{}</Data></CertificateFile>",
      kDeclaration, kWireVersion, goal.incarnation, lines);
}

std::string status_blob_url(std::string_view container_id) {
  return fmt::format("{}/status/{}", kHostGaPlugin, container_id);
}

}  // namespace msp::content
