// SPDX-License-Identifier: Apache-2.0
#include "base/rules_document.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace msp {
namespace {

using json::MemberReader;
using json::Misfits;
using json::Value;

/// One element of a section: as the field reads it, and as it stands, for what is ours.
struct Element {
  MemberReader item;
  const Value& value;
  std::string pointer;
};

/// An optional array of objects, each read by `read(Element&)`.
template <class T, class Read>
std::optional<std::vector<T>> read_section(MemberReader& parent, std::string_view name, Misfits& misfits, Read read) {
  const json::Array* const items = parent.optional_array(name);
  if (items == nullptr) {
    return std::nullopt;
  }
  std::vector<T> out;
  out.reserve(items->size());
  for (std::size_t i = 0; i < items->size(); ++i) {
    const std::string pointer = parent.pointer_to(name) + "/" + std::to_string(i);
    Element element{.item = MemberReader((*items)[i], pointer, misfits), .value = (*items)[i], .pointer = pointer};
    out.push_back(read(element));
  }
  return out;
}

/// A map, not an object with fixed members: of a repeated key the last value stays (E.1).
std::vector<std::pair<std::string, std::string>> read_query(MemberReader& privilege, Misfits& misfits) {
  std::vector<std::pair<std::string, std::string>> out;
  const Value* const value = privilege.optional("queryParameters");
  if (value == nullptr) {
    return out;
  }
  if (value->object() == nullptr) {
    misfits.add(privilege.pointer_to("queryParameters"), "expected an object");
    return out;
  }
  std::unordered_map<std::string_view, std::size_t> places;
  for (const json::Member& member : value->object()->members) {
    const std::string* const text = member.value.string();
    if (text == nullptr) {
      misfits.add(privilege.pointer_to("queryParameters"), "a value is not a string");
      return out;
    }
    const auto [known, fresh] = places.try_emplace(member.name, out.size());
    if (fresh) {
      out.emplace_back(member.name, *text);
    } else {
      out[known->second].second = *text;
    }
  }
  return out;
}

Result<RuleItem> parse_item(std::string_view text, const json::Options& options) {
  Result<Value> value = json::parse(text, options);
  if (!value) {
    return std::move(value).error();
  }
  Misfits misfits(text);
  RuleItem out = read_rule_item(*value, "", misfits);
  if (misfits.any()) {
    return misfits.error(options.source, "the rule item");
  }
  return out;
}

std::vector<std::string> top_level_problems(const Value& value, const std::string& pointer, const Misfits& misfits) {
  json::Problems ours(misfits.parsed(), "the rules");
  refuse_extension(value, pointer, ours);
  return ours.lines();
}

void write_optional(json::Writer& writer, std::string_view name, const std::optional<std::string>& value) {
  if (value) {
    writer.field(name, *value);
  }
}

void write_strings(json::Writer& writer, std::string_view name, const std::vector<std::string>& values) {
  writer.key(name).begin_array();
  for (const std::string& value : values) {
    writer.value(value);
  }
  writer.end_array();
}

/// An optional array of objects, the members of each written by `write(item)`.
template <class T, class Write>
void write_section(json::Writer& writer, std::string_view name, const std::optional<std::vector<T>>& items,
                   Write write) {
  if (!items) {
    return;
  }
  writer.key(name).begin_array();
  for (const T& item : *items) {
    writer.begin_object();
    write(item);
    writer.end_object();
  }
  writer.end_array();
}

void write_privilege(json::Writer& writer, const RulePrivilege& privilege) {
  writer.field("name", privilege.name).field("path", privilege.path);
  if (!privilege.query_parameters.empty()) {
    writer.key("queryParameters").begin_object();
    for (const auto& [key, value] : privilege.query_parameters) {
      writer.field(key, value);
    }
    writer.end_object();
  }
  write_extension(writer, privilege.openmsp);
}

}  // namespace

RuleSections read_rule_sections(const Value& value, const std::string& pointer, Misfits& misfits) {
  MemberReader reader(value, pointer, misfits);
  json::Problems ours(misfits.parsed(), "the rules");
  RuleSections out;
  refuse_extension(value, pointer, ours);
  out.privileges = read_section<RulePrivilege>(reader, "privileges", misfits, [&](Element& e) {
    return RulePrivilege{.name = e.item.string("name"),
                         .path = e.item.string("path"),
                         .query_parameters = read_query(e.item, misfits),
                         .openmsp = read_privilege_extension(e.value, e.pointer, ours)};
  });
  out.roles = read_section<RuleRole>(reader, "roles", misfits, [&](Element& e) {
    refuse_extension(e.value, e.pointer, ours);
    return RuleRole{.name = e.item.string("name"), .privileges = e.item.strings("privileges")};
  });
  out.identities = read_section<RuleIdentity>(reader, "identities", misfits, [&](Element& e) {
    return RuleIdentity{.name = e.item.string("name"),
                        .user_name = e.item.optional_string("userName"),
                        .group_name = e.item.optional_string("groupName"),
                        .exe_path = e.item.optional_string("exePath"),
                        .process_name = e.item.optional_string("processName"),
                        .openmsp = read_identity_extension(e.value, e.pointer, ours)};
  });
  out.role_assignments = read_section<RuleAssignment>(reader, "roleAssignments", misfits, [&](Element& e) {
    return RuleAssignment{.role = e.item.string("role"),
                          .identities = e.item.strings("identities"),
                          .openmsp = read_assignment_extension(e.value, e.pointer, ours)};
  });
  out.problems = ours.lines();
  return out;
}

RuleItem read_rule_item(const Value& value, const std::string& pointer, Misfits& misfits) {
  MemberReader reader(value, pointer, misfits);
  RuleItem out;
  out.default_access = reader.string("defaultAccess");
  out.mode = reader.string("mode");
  out.id = reader.string("id");
  if (const Value* const rules = reader.optional("rules")) {
    out.rules = read_rule_sections(*rules, reader.pointer_to("rules"), misfits);
  }
  out.problems = top_level_problems(value, pointer, misfits);
  return out;
}

LocalRuleFile read_local_rule_file(const Value& value, Misfits& misfits) {
  MemberReader reader(value, "", misfits);
  LocalRuleFile out;
  out.id = reader.optional_string("id");
  out.default_access = reader.optional_string("defaultAccess");
  if (const Value* const rules = reader.optional("rules")) {
    out.rules = read_rule_sections(*rules, "/rules", misfits);
  }
  out.problems = top_level_problems(value, "", misfits);
  return out;
}

Result<RuleItem> parse_rule_item(std::string_view text, Source source) {
  return parse_item(text, rule_text_limits(source));
}

Result<RuleItem> read_written_item(std::string_view text) {
  return parse_item(text, {.max_bytes = text.size(), .max_nodes = text.size() + 1, .source = Source::kBug});
}

void write_rule_sections(json::Writer& writer, const RuleSections& sections) {
  writer.begin_object();
  write_section(writer, "privileges", sections.privileges,
                [&](const RulePrivilege& privilege) { write_privilege(writer, privilege); });
  write_section(writer, "roles", sections.roles, [&](const RuleRole& role) {
    writer.field("name", role.name);
    write_strings(writer, "privileges", role.privileges);
  });
  write_section(writer, "identities", sections.identities, [&](const RuleIdentity& identity) {
    writer.field("name", identity.name);
    write_optional(writer, "userName", identity.user_name);
    write_optional(writer, "groupName", identity.group_name);
    write_optional(writer, "exePath", identity.exe_path);
    write_optional(writer, "processName", identity.process_name);
    write_extension(writer, identity.openmsp);
  });
  write_section(writer, "roleAssignments", sections.role_assignments, [&](const RuleAssignment& assignment) {
    writer.field("role", assignment.role);
    write_strings(writer, "identities", assignment.identities);
    write_extension(writer, assignment.openmsp);
  });
  if (!sections.problems.empty()) {
    write_unreadable_extension(writer);
  }
  writer.end_object();
}

std::size_t written_size(const RuleItem& item) {
  // Braces, commas and the names of the members that an element can have; of an identity those that it always has.
  constexpr std::size_t kHead = 256;
  constexpr std::size_t kPrivilege = 72;
  constexpr std::size_t kRole = 32;
  constexpr std::size_t kIdentity = 28;
  constexpr std::size_t kField = 16;
  constexpr std::size_t kAssignment = 76;
  std::size_t out = kHead;
  const auto add = [&](std::string_view text) {
    out += 4;
    for (const char c : text) {
      out += static_cast<unsigned char>(c) < 0x20 ? 6U : c == '"' || c == '\\' ? 2U : 1U;
    }
  };
  const auto add_all = [&](const auto& texts) { std::ranges::for_each(texts, add); };
  const auto each = [&](const auto& section, std::size_t element, auto what) {
    if (section) {
      out += section->size() * element;
      std::ranges::for_each(*section, what);
    }
  };
  add(item.default_access);
  add(item.mode);
  add(item.id);
  if (!item.rules) {
    return out;
  }
  each(item.rules->privileges, kPrivilege, [&](const RulePrivilege& privilege) {
    add(privilege.name);
    add(privilege.path);
    for (const auto& [key, value] : privilege.query_parameters) {
      add(key);
      add(value);
    }
    add_all(privilege.openmsp.methods);
  });
  each(item.rules->roles, kRole, [&](const RuleRole& role) {
    add(role.name);
    add_all(role.privileges);
  });
  each(item.rules->identities, kIdentity, [&](const RuleIdentity& identity) {
    add(identity.name);
    for (const auto* text :
         {&identity.user_name, &identity.group_name, &identity.exe_path, &identity.process_name, &identity.openmsp.unit,
          &identity.openmsp.cgroup, &identity.openmsp.container, &identity.openmsp.exe_sha256}) {
      if (*text) {
        out += kField;
        add(**text);
      }
    }
  });
  each(item.rules->role_assignments, kAssignment, [&](const RuleAssignment& assignment) {
    add(assignment.role);
    add_all(assignment.identities);
  });
  return out;
}

void write_rule_item(json::Writer& writer, const RuleItem& item) {
  writer.begin_object();
  writer.field("defaultAccess", item.default_access).field("mode", item.mode).field("id", item.id);
  if (item.rules) {
    writer.key("rules");
    write_rule_sections(writer, *item.rules);
  }
  if (!item.problems.empty()) {
    write_unreadable_extension(writer);
  }
  writer.end_object();
}

}  // namespace msp
