// SPDX-License-Identifier: Apache-2.0
// What OpenMSP adds to the field's rules (docs/policy.md): an object `openmsp` inside a privilege, an identity or an
// assignment. Owned by the rules document that it is part of; any thread.
// Read strictly: nothing in an `openmsp` is ever ignored. Each fault becomes a line of Problems, and whoever compiles
// the rules then denies everything (protocol.md L.31).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fields.h"

namespace msp {

struct PrivilegeExtension {
  std::vector<std::string> methods;  ///< empty: absent, any method

  bool operator==(const PrivilegeExtension&) const = default;
};

/// Absent restricts nothing.
struct IdentityExtension {
  std::optional<std::string> unit = {};
  std::optional<std::string> cgroup = {};
  std::optional<std::string> container = {};   ///< id, or its first digits
  std::optional<std::string> exe_sha256 = {};  ///< lower case

  bool operator==(const IdentityExtension&) const = default;
};

struct AssignmentExtension {
  bool deny = false;
  bool dry_run = false;

  bool operator==(const AssignmentExtension&) const = default;
};

// What an identity may ask of these, and so what a caller can have. Empty: it may be so; else "must be …".
std::string_view unit_fault(std::string_view text);
std::string_view cgroup_fault(std::string_view text);
std::string_view container_fault(std::string_view text);

// From the element (a privilege, …) that stands at `pointer`; without an `openmsp` in it, the defaults.
PrivilegeExtension read_privilege_extension(const json::Value& element, const std::string& pointer,
                                            json::Problems& problems);
IdentityExtension read_identity_extension(const json::Value& element, const std::string& pointer,
                                          json::Problems& problems);
AssignmentExtension read_assignment_extension(const json::Value& element, const std::string& pointer,
                                              json::Problems& problems);
/// Where nothing is defined: an `openmsp` there may restrict something in a way that this version does not know.
void refuse_extension(const json::Value& element, const std::string& pointer, json::Problems& problems);

// Inside the element's object; nothing where all is as by default.
void write_extension(json::Writer& writer, const PrivilegeExtension& extension);
void write_extension(json::Writer& writer, const IdentityExtension& extension);
void write_extension(json::Writer& writer, const AssignmentExtension& extension);
/// Stands for what could not be read, so that rules with a fault are not written as rules without restrictions.
void write_unreadable_extension(json::Writer& writer);

}  // namespace msp
