// SPDX-License-Identifier: Apache-2.0
#include "content/instance.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>

#include "base/ascii.h"

namespace msp::content {
namespace {

using json::Array;
using json::Member;
using json::Object;
using json::Value;

struct Field {
  std::string_view name;
  std::string_view pointer;  ///< into the source; empty: the field is always empty
};

std::string leaf_text(const Value* value) {
  if (value == nullptr) {
    return {};
  }
  if (const std::string* text = value->string()) {
    return *text;
  }
  if (const bool* flag = value->boolean()) {
    return *flag ? "true" : "false";
  }
  if (const auto number = value->int64()) {
    return std::to_string(*number);
  }
  return {};
}

void put(Object& object, std::string_view name, Value value) {
  object.members.push_back({.name = std::string(name), .value = std::move(value), .begin = 0});
}

void put_text(Object& object, std::string_view name, std::string text) { put(object, name, Value(std::move(text))); }

Object pick(const Value* source, std::span<const Field> fields) {
  Object out;
  for (const Field& field : fields) {
    const bool known = source != nullptr && !field.pointer.empty();
    put_text(out, field.name, leaf_text(known ? source->at(field.pointer) : nullptr));
  }
  return out;
}

const Array& items(const Value* source, std::string_view pointer) {
  static const Array kNone;
  const Value* value = source == nullptr ? nullptr : source->at(pointer);
  const Array* array = value == nullptr ? nullptr : value->array();
  return array == nullptr ? kNone : *array;
}

/// The segment behind `key` of a resource id: "/subscriptions/S/resourceGroups/G/…".
std::string id_segment(std::string_view id, std::string_view key) {
  const std::string lower = ascii_lower(id);
  const auto at = lower.find(fmt::format("/{}/", key));
  if (at == std::string::npos) {
    return {};
  }
  const std::string_view rest = id.substr(at + key.size() + 2);
  return std::string(rest.substr(0, rest.find('/')));
}

std::string last_segment(std::string_view id) {
  const auto slash = id.rfind('/');
  return slash == std::string_view::npos ? std::string{} : std::string(id.substr(slash + 1));
}

void put_tags(Object& compute, const Value& document) {
  std::string joined;
  Array list;
  const Value* tags = document.find("tags");
  if (tags != nullptr && tags->object() != nullptr) {
    for (const Member& tag : tags->object()->members) {
      const std::string value = leaf_text(&tag.value);
      joined += fmt::format("{}{}:{}", joined.empty() ? "" : ";", tag.name, value);
      Object entry;
      put_text(entry, "name", tag.name);
      put_text(entry, "value", value);
      list.emplace_back(std::move(entry));
    }
  }
  put_text(compute, "tags", std::move(joined));
  put(compute, "tagsList", Value(std::move(list)));
}

/// A number of the model in another unit; empty: it is not there, or out of all bounds.
std::string times(const Value* source, std::string_view pointer, std::int64_t unit) {
  const Value* value = source->at(pointer);
  const auto number = value == nullptr ? std::nullopt : value->int64();
  constexpr std::int64_t kMost = 1'000'000'000;
  return number && *number >= 0 && *number <= kMost ? std::to_string(*number * unit) : std::string();
}

Object encryption(const Value* source) {
  const auto key = [&](std::string_view name, std::string_view url) {
    const Value* from = source == nullptr ? nullptr : source->find(name);
    static constexpr std::array<Field, 1> kVault = {{{"id", "/sourceVault/id"}}};
    Object out;
    put(out, "sourceVault", Value(pick(from, kVault)));
    put_text(out, url, leaf_text(from == nullptr ? nullptr : from->find(url)));
    return out;
  };
  Object out;
  put(out, "diskEncryptionKey", Value(key("diskEncryptionKey", "secretUrl")));
  put_text(out, "enabled", leaf_text(source == nullptr ? nullptr : source->find("enabled")));
  put(out, "keyEncryptionKey", Value(key("keyEncryptionKey", "keyUrl")));
  return out;
}

Object disk(const Value* source, bool data) {
  static constexpr std::array<Field, 6> kCommon = {{{"caching", "/caching"},
                                                    {"createOption", "/createOption"},
                                                    {"diskSizeGB", "/diskSizeGB"},
                                                    {"name", "/name"},
                                                    {"writeAcceleratorEnabled", "/writeAcceleratorEnabled"},
                                                    {"lun", "/lun"}}};
  static constexpr std::array<Field, 2> kManaged = {
      {{"id", "/managedDisk/id"}, {"storageAccountType", "/managedDisk/storageAccountType"}}};
  static constexpr std::array<Field, 1> kImage = {{{"uri", "/image/uri"}}};
  static constexpr std::array<Field, 1> kVhd = {{{"uri", "/vhd/uri"}}};
  Object out = pick(source, std::span(kCommon).first(data ? 6 : 5));
  put(out, "image", Value(pick(source, kImage)));
  put(out, "managedDisk", Value(pick(source, kManaged)));
  put(out, "vhd", Value(pick(source, kVhd)));
  if (!data) {
    static constexpr std::array<Field, 1> kDiff = {{{"option", "/diffDiskSettings/option"}}};
    put(out, "diffDiskSettings", Value(pick(source, kDiff)));
    put(out, "encryptionSettings", Value(encryption(source == nullptr ? nullptr : source->find("encryptionSettings"))));
    put_text(out, "osType", leaf_text(source == nullptr ? nullptr : source->find("osType")));
  } else {
    put_text(out, "bytesPerSecondThrottle", times(source, "/diskMBpsReadWrite", 1'000'000));
    put_text(out, "diskCapacityBytes", times(source, "/diskSizeGB", std::int64_t{1} << 30));
    put_text(out, "isSharedDisk", leaf_text(source->at("/openmsp/isSharedDisk")) == "true" ? "true" : "false");
    put_text(out, "isUltraDisk",
             leaf_text(source->at("/managedDisk/storageAccountType")) == "UltraSSD_LRS" ? "true" : "false");
    put_text(out, "opsPerSecondThrottle", leaf_text(source->at("/diskIOPSReadWrite")));
  }
  return out;
}

Object storage_profile(const Value& document) {
  static constexpr std::array<Field, 8> kImage = {{{"communityGalleryImageId", "/communityGalleryImageId"},
                                                   {"exactVersion", "/exactVersion"},
                                                   {"id", "/id"},
                                                   {"offer", "/offer"},
                                                   {"publisher", "/publisher"},
                                                   {"sharedGalleryImageId", "/sharedGalleryImageId"},
                                                   {"sku", "/sku"},
                                                   {"version", "/version"}}};
  static constexpr std::array<Field, 1> kResource = {{{"size", "/openmsp/compute/storageProfile/resourceDisk/size"}}};
  const Value* source = document.at("/properties/storageProfile");
  const auto part = [&](std::string_view name) { return source == nullptr ? nullptr : source->find(name); };
  Object out;
  Array data;
  for (const Value& item : items(source, "/dataDisks")) {
    data.emplace_back(disk(&item, true));
  }
  put(out, "dataDisks", Value(std::move(data)));
  put(out, "imageReference", Value(pick(part("imageReference"), kImage)));
  put(out, "osDisk", Value(disk(part("osDisk"), false)));
  put(out, "resourceDisk", Value(pick(&document, kResource)));
  return out;
}

Array public_keys(const Value& document) {
  static constexpr std::array<Field, 2> kKey = {{{"keyData", "/keyData"}, {"path", "/path"}}};
  Array out;
  for (const Value& key : items(&document, "/properties/osProfile/linuxConfiguration/ssh/publicKeys")) {
    out.emplace_back(pick(&key, kKey));
  }
  return out;
}

// In the order of the public contract, which is alphabetical. Below /openmsp stands what ARM has no place for.
constexpr std::array<Field, 4> kComputeA = {
    {{"azEnvironment", "/openmsp/compute/azEnvironment"},
     {"customData", ""},  // the contract has it empty
     {"evictionPolicy", "/properties/evictionPolicy"},
     {"isHostCompatibilityLayerVm", "/openmsp/compute/isHostCompatibilityLayerVm"}}};
constexpr std::array<Field, 4> kComputeL = {{{"licenseType", "/properties/licenseType"},
                                             {"location", "/location"},
                                             {"name", "/name"},
                                             {"offer", "/properties/storageProfile/imageReference/offer"}}};
constexpr std::array<Field, 6> kComputeP = {{{"physicalZone", "/openmsp/compute/physicalZone"},
                                             {"placementGroupId", "/openmsp/compute/placementGroupId"},
                                             {"platformFaultDomain", "/properties/platformFaultDomain"},
                                             {"platformSubFaultDomain", "/openmsp/compute/platformSubFaultDomain"},
                                             {"platformUpdateDomain", "/properties/instanceView/platformUpdateDomain"},
                                             {"priority", "/properties/priority"}}};
constexpr std::array<Field, 2> kExtendedLocation = {
    {{"name", "/extendedLocation/name"}, {"type", "/extendedLocation/type"}}};
constexpr std::array<Field, 1> kHibernation = {
    {{"hibernationEnabled", "/properties/additionalCapabilities/hibernationEnabled"}}};
constexpr std::array<Field, 3> kOsProfile = {
    {{"adminUsername", "/properties/osProfile/adminUsername"},
     {"computerName", "/properties/osProfile/computerName"},
     {"disablePasswordAuthentication", "/properties/osProfile/linuxConfiguration/disablePasswordAuthentication"}}};
constexpr std::array<Field, 3> kPlan = {
    {{"name", "/plan/name"}, {"product", "/plan/product"}, {"publisher", "/plan/publisher"}}};
constexpr std::array<Field, 4> kSecurity = {
    {{"encryptionAtHost", "/properties/securityProfile/encryptionAtHost"},
     {"secureBootEnabled", "/properties/securityProfile/uefiSettings/secureBootEnabled"},
     {"securityType", "/properties/securityProfile/securityType"},
     {"virtualTpmEnabled", "/properties/securityProfile/uefiSettings/vTpmEnabled"}}};
constexpr std::array<Field, 1> kHost = {{{"id", "/properties/host/id"}}};
constexpr std::array<Field, 1> kHostGroup = {{{"id", "/properties/hostGroup/id"}}};
constexpr std::array<Field, 1> kScaleSet = {{{"id", "/properties/virtualMachineScaleSet/id"}}};

void append(Object& to, Object from) {
  for (Member& member : from.members) {
    to.members.push_back(std::move(member));
  }
}

Object compute(const Value& document, std::string_view vm_id) {
  const auto text = [&](std::string_view pointer) { return leaf_text(document.at(pointer)); };
  const std::string id = text("/id");
  Object out;
  put(out, "additionalCapabilities", Value(pick(&document, kHibernation)));
  append(out, pick(&document, kComputeA));
  put(out, "extendedLocation", Value(pick(&document, kExtendedLocation)));
  put(out, "host", Value(pick(&document, kHost)));
  put(out, "hostGroup", Value(pick(&document, kHostGroup)));
  append(out, pick(&document, kComputeL));
  put(out, "osProfile", Value(pick(&document, kOsProfile)));
  put_text(out, "osType", text("/properties/storageProfile/osDisk/osType"));
  append(out, pick(&document, kComputeP));
  put(out, "plan", Value(pick(&document, kPlan)));
  put_text(out, "provider", "Microsoft.Compute");
  put(out, "publicKeys", Value(public_keys(document)));
  put_text(out, "publisher", text("/properties/storageProfile/imageReference/publisher"));
  put_text(out, "resourceGroupName", id_segment(id, "resourcegroups"));
  put_text(out, "resourceId", id);
  put(out, "securityProfile", Value(pick(&document, kSecurity)));
  put_text(out, "sku", text("/properties/storageProfile/imageReference/sku"));
  put(out, "storageProfile", Value(storage_profile(document)));
  put_text(out, "subscriptionId", id_segment(id, "subscriptions"));
  put_tags(out, document);
  put_text(out, "userData", text("/properties/userData"));
  put_text(out, "version", text("/properties/storageProfile/imageReference/version"));
  put(out, "virtualMachineScaleSet", Value(pick(&document, kScaleSet)));
  put_text(out, "vmId", std::string(vm_id));
  put_text(out, "vmScaleSetName", last_segment(text("/properties/virtualMachineScaleSet/id")));
  put_text(out, "vmSize", text("/properties/hardwareProfile/vmSize"));
  put_text(out, "zone", text("/zones/0"));
  return out;
}

std::string mac_digits(std::string_view mac) {
  std::string out;
  for (const char c : ascii_upper(mac)) {
    if (c != ':' && c != '-') {
      out += c;
    }
  }
  return out;
}

Object network_interface(const Value& source) {
  Array addresses4;
  Array addresses6;
  Array subnets;
  for (const Value& configuration : items(&source, "/properties/ipConfigurations")) {
    const std::string address = leaf_text(configuration.at("/properties/privateIPAddress"));
    Object entry;
    put_text(entry, "privateIpAddress", address);
    if (address.find(':') != std::string::npos) {
      addresses6.emplace_back(std::move(entry));
      continue;
    }
    put_text(entry, "publicIpAddress", leaf_text(configuration.at("/properties/publicIPAddress/properties/ipAddress")));
    addresses4.emplace_back(std::move(entry));
    const std::string prefix = leaf_text(configuration.at("/properties/subnet/properties/addressPrefix"));
    const auto slash = prefix.find('/');
    if (slash != std::string::npos) {
      Object subnet;
      put_text(subnet, "address", prefix.substr(0, slash));
      put_text(subnet, "prefix", prefix.substr(slash + 1));
      subnets.emplace_back(std::move(subnet));
    }
  }
  Object ipv4;
  put(ipv4, "ipAddress", Value(std::move(addresses4)));
  put(ipv4, "subnet", Value(std::move(subnets)));
  Object ipv6;
  put(ipv6, "ipAddress", Value(std::move(addresses6)));
  Object out;
  put(out, "ipv4", Value(std::move(ipv4)));
  put(out, "ipv6", Value(std::move(ipv6)));
  put_text(out, "macAddress", mac_digits(leaf_text(source.at("/properties/macAddress"))));
  return out;
}

}  // namespace

json::Value make_instance_document(const json::Value& model, std::string_view vm_id) {
  Array interfaces;
  for (const Value& source : items(&model, "/properties/networkProfile/networkInterfaces")) {
    interfaces.emplace_back(network_interface(source));
  }
  Object network;
  put(network, "interface", Value(std::move(interfaces)));
  Object out;
  put(out, "compute", Value(compute(model, vm_id)));
  put(out, "network", Value(std::move(network)));
  return Value(std::move(out));
}

const json::Value* walk(const json::Value& document, std::string_view path) {
  const Value* at = &document;
  while (at != nullptr && !path.empty()) {
    const auto slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (segment.empty()) {
      continue;
    }
    if (const Array* array = at->array()) {
      std::size_t index = 0;
      const auto [end, failure] = std::from_chars(segment.data(), segment.data() + segment.size(), index);
      const bool good = failure == std::errc{} && end == segment.data() + segment.size() && index < array->size();
      at = good ? &(*array)[index] : nullptr;
    } else {
      at = at->find(segment);
    }
  }
  return at;
}

std::string as_text(const json::Value& value) {
  const auto line = [](std::string_view name, const Value& child) {
    return fmt::format("{}{}\n", name, child.is_string() ? "" : "/");
  };
  std::string out;
  if (const Object* object = value.object()) {
    for (const Member& member : object->members) {
      out += line(member.name, member.value);
    }
  } else if (const Array* array = value.array()) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      out += line(std::to_string(i), (*array)[i]);
    }
  } else {
    return leaf_text(&value);
  }
  if (!out.empty()) {
    out.pop_back();
  }
  return out;
}

}  // namespace msp::content
