// SPDX-License-Identifier: Apache-2.0
// Versions of inVMAccessControlProfiles (protocol.md N): the allowlists that virtual machines refer to by id.
// Read at start on the main thread; immutable afterwards.
// A version that cannot be read, or an `openmsp` where none is known (docs/policy.md), refuses its file as a whole: an
// allowlist is applied whole or not at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/json.h"
#include "base/net.h"
#include "base/result.h"
#include "base/rules_document.h"

namespace msp::gateway {

enum class Mode : std::uint8_t { kDisabled, kAudit, kEnforce };

/// "disabled", "audit", "enforce": as status documents write it.
std::string_view to_string(Mode mode);
/// Any case, nothing around it.
std::optional<Mode> parse_mode(std::string_view text);

struct ProfileVersion {
  std::string id;                   ///< resource id as written
  std::optional<Service> endpoint;  ///< kImds or kWireServer; nothing if the file does not say
  std::optional<Mode> mode;
  bool default_allow = false;
  std::optional<RuleSections> rules;
};

class ProfileCatalog {
 public:
  /// One resource, an array of them, or `{"value": [...]}` as list calls of ARM answer. Versions are taken; a profile
  /// (the parent of versions) gives its versions their endpoint.
  Result<void> add_file(const std::string& path);
  Result<void> add_text(std::string_view text, std::string_view name);

  /// Without regard to case (public samples vary); null if there is none.
  const ProfileVersion* find(std::string_view id) const;
  std::size_t size() const { return versions_.size(); }

 private:
  struct Reading;
  void add_resource(const json::Value& resource, const std::string& pointer, Reading& reading);
  void add_version(const json::Value& resource, const std::string& pointer, Reading& reading);

  std::unordered_map<std::string, ProfileVersion> versions_;  // by id, lower case
  std::unordered_map<std::string, Service> endpoints_;        // of profiles, by id, lower case
};

/// ASCII only, as resource ids are.
std::string ascii_lower(std::string_view text);
std::string ascii_upper(std::string_view text);

}  // namespace msp::gateway
