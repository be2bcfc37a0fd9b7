// SPDX-License-Identifier: Apache-2.0
#include "content/extensions.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "content/xml_text.h"

namespace msp::content {
namespace {

constexpr std::size_t kMost = 64;
// The lowest that agents take for one that has vmSettings at all is 1.0.8.115.
constexpr std::string_view kPluginVersion = "1.0.8.133";

bool is_extension(const json::Value& resource) {
  const json::Value* type = resource.find("type");
  return type != nullptr && type->is_string() && ascii_lower(*type->string()).ends_with("/extensions");
}

std::string manifest(json::ObjectReader& ours, std::string_view name) {
  std::string url = ours.string(name, "");
  if (!url.empty() && !url.starts_with("https://") && !url.starts_with("http://")) {
    ours.fail(name, "must be an http or https URL");
  }
  return url;
}

void read_one(json::ObjectReader& item, Extensions& out) {
  json::ObjectReader ours = item.object("openmsp");
  Extension extension;
  extension.location = manifest(ours, "manifest");
  extension.failover_location = manifest(ours, "failoverManifest");
  extension.sequence = ours.integer("settingsSequence", 0, {.min = 0, .max = 0x7fffffff});
  ours.finish();
  if (extension.location.empty()) {
    return;
  }
  json::ObjectReader properties = item.required_object("properties");
  const std::string publisher = properties.string("publisher");
  extension.name = fmt::format("{}.{}", publisher, properties.string("type"));
  extension.version = properties.string("typeHandlerVersion");
  extension.auto_upgrade = properties.boolean("autoUpgradeMinorVersion", false);
  const json::Value* settings = properties.raw("settings");
  if (settings != nullptr && settings->object() != nullptr) {
    extension.settings = json::to_text(*settings);
  } else if (settings != nullptr && !settings->is_null()) {
    properties.fail("settings", "must be an object");
  }
  for (const Extension& other : out) {
    if (other.name == extension.name) {
      item.fail("properties", fmt::format("{} occurs twice", extension.name));
    }
  }
  out.push_back(std::move(extension));
}

}  // namespace

Extensions read_extensions(const json::Value& model, const std::string& pointer, json::Problems& problems) {
  Extensions out;
  const json::Value* resources = model.find("resources");
  if (resources == nullptr || resources->array() == nullptr) {
    return out;
  }
  std::size_t index = 0;
  for (const json::Value& resource : *resources->array()) {
    const std::string at = fmt::format("{}/resources/{}", pointer, index++);
    if (!is_extension(resource)) {
      continue;
    }
    json::ObjectReader item(resource, at, problems);
    read_one(item, out);
    if (out.size() > kMost) {
      problems.add(at, resource.begin, fmt::format("a machine has at most {} extensions", kMost));
      return {};
    }
  }
  return out;
}

std::string extensions_xml(const Extensions& extensions) {
  std::string plugins;
  std::string settings;
  for (const Extension& each : extensions) {
    const std::string name = fmt::format(R"(name="{}" version="{}")", xml_text(each.name), xml_text(each.version));
    plugins +=
        fmt::format(R"(<Plugin {} location="{}" failoverlocation="{}" state="enabled" autoUpgrade="{}" isJson="true" )"
                    R"(useExactVersion="true"/>)",
                    name, xml_text(each.location), xml_text(each.failover_location), each.auto_upgrade);
    const std::string text = fmt::format(R"({{"runtimeSettings":[{{"handlerSettings":{{"publicSettings":{}}}}}]}})",
                                         each.settings.empty() ? "{}" : each.settings);
    settings += fmt::format(R"(<Plugin {}><RuntimeSettings seqNo="{}">{}</RuntimeSettings></Plugin>)", name,
                            each.sequence, xml_text(text));
  }
  return fmt::format("<Plugins>{}</Plugins><PluginSettings>{}</PluginSettings>", plugins, settings);
}

std::string vm_settings_text(const Extensions& extensions, std::string_view status_blob) {
  json::Writer writer;
  writer.begin_object().field("hostGAPluginVersion", kPluginVersion).field("vmSettingsSchemaVersion", "0.0");
  writer.field("extensionGoalStatesSource", "Fabric").field("onHold", false).key("statusUploadBlob").begin_object();
  writer.field("statusBlobType", "BlockBlob").field("value", status_blob).end_object();
  writer.key("requiredFeatures").begin_array().end_array().key("gaFamilies").begin_array().end_array();
  writer.key("extensionGoalStates").begin_array();
  for (const Extension& each : extensions) {
    writer.begin_object().field("name", each.name).field("version", each.version);
    writer.field("location", each.location).field("failoverLocation", each.failover_location);
    writer.field("state", "enabled").field("autoUpgrade", each.auto_upgrade).field("runAsStartupTask", false);
    writer.field("isJson", true).field("useExactVersion", true).field("settingsSeqNo", each.sequence);
    writer.key("settings").begin_array().begin_object();
    writer.field("publicSettings", each.settings.empty() ? std::string("{}") : each.settings);
    writer.end_object().end_array().end_object();
  }
  writer.end_array().end_object();
  return std::move(writer).take();
}

}  // namespace msp::content
