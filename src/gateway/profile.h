// SPDX-License-Identifier: Apache-2.0
// Versions of inVMAccessControlProfiles (protocol.md N): the allowlists that virtual machines refer to by id.
// A catalog belongs to its inventory, on the loop's thread; versions in it are immutable, so a copy of it is cheap.
// A version that cannot be read, or an `openmsp` where none is known (docs/policy.md), refuses its file as a whole: an
// allowlist is applied whole or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/ascii.h"
#include "base/json.h"
#include "base/json_fields.h"
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
  /// Follows the id in what the guest is told, so that it changes whenever the version does (protocol.md C.6); empty:
  /// the version stays what it is, as those of files do.
  std::string revision = {};
};

class ProfileCatalog {
 public:
  /// One resource, an array of them, or `{"value": [...]}` as list calls of ARM answer. Versions are taken; a profile
  /// (the parent of versions) gives its versions their endpoint.
  Result<void> add_file(const std::string& path);
  Result<void> add_text(std::string_view text, std::string_view name);

  /// Takes one resource that stands at `pointer`, in place of the one that has its id. Nothing is taken when there are
  /// problems.
  void put(const json::Value& resource, const std::string& pointer, std::string revision, json::Problems& problems);
  /// By id of a profile or a version; a version that stays while its profile goes is for either service.
  void remove(std::string_view id);

  /// Without regard to case (public samples vary); null if there is none.
  const ProfileVersion* find(std::string_view id) const;
  std::size_t size() const { return versions_.size(); }

 private:
  void add_resource(const json::Value& resource, const std::string& pointer, json::Problems& problems);
  void put_version(const json::Value& resource, const std::string& pointer, std::string revision,
                   json::Problems& problems);
  void set_endpoint(const std::string& profile, std::optional<Service> service);

  std::unordered_map<std::string, std::shared_ptr<const ProfileVersion>> versions_;  // by id, lower case
  std::unordered_map<std::string, Service> endpoints_;                               // of profiles, by id, lower case
};

/// Limits of resources in files, and in the database: whatever the tools take as rules, is taken.
inline constexpr json::Options kResourceFile = [] {
  json::Options out = rule_text_limits(Source::kConfig);
  out.skip_bom = true;
  return out;
}();

/// The id of the profile that a version's id lies under; empty if it is no version's id. Both in lower case.
std::string profile_of(std::string_view lower_id);
/// True for ids of profiles and their versions; any case.
bool is_profile_id(std::string_view id);

}  // namespace msp::gateway
