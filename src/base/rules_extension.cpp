// SPDX-License-Identifier: Apache-2.0
#include "base/rules_extension.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace msp {
namespace {

using json::ObjectReader;
using json::Problems;
using json::Value;

constexpr std::string_view kName = "openmsp";
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::array<std::string_view, 7> kMethods = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
/// Units that processes run in, without slices: those hold other units.
constexpr std::array<std::string_view, 5> kUnitSuffixes = {".service", ".scope", ".socket", ".mount", ".swap"};
constexpr std::string_view kUnitBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";
constexpr std::size_t kMostUnit = 255;
constexpr std::size_t kMostPath = 4095;
constexpr std::size_t kFewestDigits = 12;
constexpr std::size_t kDigits = 64;

/// Calls read(ObjectReader&) with the element's `openmsp`, if it has one.
template <class Read>
void with_extension(const Value& element, const std::string& pointer, Problems& problems, Read read) {
  const json::Member* found = nullptr;
  for (std::size_t i = 0; element.object() != nullptr && i < element.object()->members.size(); ++i) {
    const json::Member& member = element.object()->members[i];
    if (member.name != kName) {
      continue;
    }
    if (found != nullptr) {
      problems.add(pointer + "/openmsp", member.begin, "occurs twice; keep one");
      return;
    }
    found = &member;
  }
  if (found != nullptr) {
    ObjectReader reader(found->value, pointer + "/openmsp", problems);
    read(reader);
    reader.finish();
  }
}

/// The member's text if it is there; a problem that says what is allowed if it has a fault.
std::optional<std::string> checked(ObjectReader& reader, std::string_view name,
                                   std::string_view (*fault)(std::string_view)) {
  const Value* const value = reader.raw(name);
  if (value == nullptr) {
    return std::nullopt;
  }
  std::string text = reader.string(name);
  if (const std::string_view wrong = value->is_string() ? fault(text) : std::string_view(); !wrong.empty()) {
    reader.fail(name, wrong);
  }
  return text;
}

bool is_unit(std::string_view text) {
  return text.size() <= kMostUnit && text.find_first_not_of(kUnitBytes) == std::string_view::npos &&
         std::ranges::any_of(kUnitSuffixes, [&](std::string_view suffix) {
           return text.size() > suffix.size() && text.ends_with(suffix);
         });
}

bool is_cgroup_path(std::string_view text) {
  if (text.size() < 2 || text.size() > kMostPath || text.front() != '/') {
    return false;
  }
  while (!text.empty()) {
    text.remove_prefix(1);
    const std::string_view component = text.substr(0, text.find('/'));
    if (component.empty() || component == "." || component == "..") {
      return false;
    }
    text.remove_prefix(component.size());
  }
  return true;
}

bool is_container_id(std::string_view text) {
  return text.size() >= kFewestDigits && text.size() <= kDigits &&
         text.find_first_not_of(kHexDigits) == std::string_view::npos;
}

std::string ascii_lower(std::string text) {
  for (char& c : text) {
    c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return text;
}

std::string_view sha256_fault(std::string_view text) {
  const std::string lower = ascii_lower(std::string(text));
  const bool is_one = lower.size() == kDigits && lower.find_first_not_of(kHexDigits) == std::string::npos;
  return is_one ? "" : "must be a SHA-256 of 64 hexadecimal digits";
}

void write_text(json::Writer& writer, std::string_view name, const std::optional<std::string>& value) {
  if (value) {
    writer.field(name, *value);
  }
}

}  // namespace

std::string_view unit_fault(std::string_view text) {
  return is_unit(text) ? ""
                       : "must be the full name of a systemd unit that processes run in, such as "
                         "\"walinuxagent.service\" (.service, .scope, .socket, .mount or .swap)";
}

std::string_view cgroup_fault(std::string_view text) {
  return is_cgroup_path(text) ? ""
                              : "must be a path below the cgroup root, such as \"/system.slice/x.service\": no empty, "
                                "\".\" or \"..\" component, no \"/\" at the end";
}

std::string_view container_fault(std::string_view text) {
  return is_container_id(text) ? ""
                               : "must be a container's id of 64 digits, or its first 12 or more: 0 to 9 and a to f";
}

PrivilegeExtension read_privilege_extension(const Value& element, const std::string& pointer, Problems& problems) {
  PrivilegeExtension out;
  with_extension(element, pointer, problems, [&](ObjectReader& reader) {
    const Value* const value = reader.raw("methods");
    if (value == nullptr) {
      return;
    }
    out.methods = reader.strings("methods");
    if (value->array() != nullptr && value->array()->empty()) {
      reader.fail("methods", "names no method, so that nothing could match; leave it out to allow all");
    }
    for (std::size_t i = 0; i < out.methods.size(); ++i) {
      if (std::ranges::find(kMethods, out.methods[i]) == kMethods.end()) {
        reader.fail("methods", "holds \"" + out.methods[i] +
                                   "\", which is no method that passes; use GET, HEAD, POST, PUT, DELETE, OPTIONS or "
                                   "PATCH, in capitals");
      } else if (std::find(out.methods.begin(), out.methods.begin() + static_cast<std::ptrdiff_t>(i), out.methods[i]) !=
                 out.methods.begin() + static_cast<std::ptrdiff_t>(i)) {
        reader.fail("methods", "names " + out.methods[i] + " twice; keep one");
      }
    }
  });
  return out;
}

IdentityExtension read_identity_extension(const Value& element, const std::string& pointer, Problems& problems) {
  IdentityExtension out;
  with_extension(element, pointer, problems, [&](ObjectReader& reader) {
    out.unit = checked(reader, "unit", unit_fault);
    out.cgroup = checked(reader, "cgroup", cgroup_fault);
    out.container = checked(reader, "container", container_fault);
    out.exe_sha256 = checked(reader, "exeSha256", sha256_fault);
    if (out.exe_sha256) {
      out.exe_sha256 = ascii_lower(*std::move(out.exe_sha256));
    }
  });
  return out;
}

AssignmentExtension read_assignment_extension(const Value& element, const std::string& pointer, Problems& problems) {
  AssignmentExtension out;
  with_extension(element, pointer, problems, [&](ObjectReader& reader) {
    out.deny = reader.choice("effect", 0, {"allow", "deny"}) == 1;
    out.dry_run = reader.boolean("dryRun", false);
  });
  return out;
}

void refuse_extension(const Value& element, const std::string& pointer, Problems& problems) {
  for (std::size_t i = 0; element.object() != nullptr && i < element.object()->members.size(); ++i) {
    const json::Member& member = element.object()->members[i];
    if (member.name == kName) {
      problems.add(pointer + "/openmsp", member.begin,
                   "is not known here; it may stand in a privilege, an identity or a role assignment");
    }
  }
}

void write_extension(json::Writer& writer, const PrivilegeExtension& extension) {
  if (extension.methods.empty()) {
    return;
  }
  writer.key(kName).begin_object().key("methods").begin_array();
  for (const std::string& method : extension.methods) {
    writer.value(method);
  }
  writer.end_array().end_object();
}

void write_extension(json::Writer& writer, const IdentityExtension& extension) {
  if (extension == IdentityExtension()) {
    return;
  }
  writer.key(kName).begin_object();
  write_text(writer, "unit", extension.unit);
  write_text(writer, "cgroup", extension.cgroup);
  write_text(writer, "container", extension.container);
  write_text(writer, "exeSha256", extension.exe_sha256);
  writer.end_object();
}

void write_extension(json::Writer& writer, const AssignmentExtension& extension) {
  if (extension == AssignmentExtension()) {
    return;
  }
  writer.key(kName).begin_object();
  if (extension.deny) {
    writer.field("effect", "deny");
  }
  if (extension.dry_run) {
    writer.field("dryRun", true);
  }
  writer.end_object();
}

void write_unreadable_extension(json::Writer& writer) {
  writer.key(kName).begin_object().field("unreadable", true).end_object();
}

}  // namespace msp
