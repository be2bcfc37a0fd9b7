// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <unordered_map>

#include "authoring/lint_callers.h"
#include "authoring/lint_checks.h"

namespace msp::authoring {
namespace {

/// What anybody can give a process is no identity by itself.
bool has_place(const RuleIdentity& identity) {
  return identity.openmsp.unit || identity.openmsp.cgroup || identity.openmsp.container;
}

bool is_anchored(const RuleIdentity& identity) {
  return identity.user_name || identity.group_name || has_place(identity);
}

bool is_everybody(const RuleIdentity& identity) {
  return !identity.user_name && !identity.group_name && !identity.exe_path && !identity.process_name &&
         !has_place(identity) && !identity.openmsp.exe_sha256;
}

/// What assignments do to whom they name.
struct Use {
  bool allowed = false;  ///< also where nothing assigns it anything
  bool denied = false;
};

/// By the name of an identity. To the field's agent every assignment allows.
std::unordered_map<std::string_view, Use> uses(const RuleSections& rules, Target target) {
  std::unordered_map<std::string_view, Use> out;
  if (!rules.role_assignments) {
    return out;
  }
  for (const RuleAssignment& assignment : *rules.role_assignments) {
    const bool deny = assignment.openmsp.deny && target == Target::kOpenMsp;
    for (const std::string& name : assignment.identities) {
      (deny ? out[name].denied : out[name].allowed) = true;
    }
  }
  return out;
}

void check_nobody(const std::string& at, const RuleIdentity& identity, Use use, Findings& findings) {
  const std::string why = why_nobody(identity);
  if (why.empty()) {
    return;
  }
  const bool denies = use.denied && why_denies_nobody(identity).empty();
  if (denies) {
    findings.note(
        "deny-of-unknown", at,
        fmt::format("{}: a deny of \"{}\" is about every caller of whom that is not known", why, identity.name),
        "nothing, if this is meant; else write what the process really has");
  }
  if (use.allowed || !denies) {
    findings.warning("identity-nobody", at, fmt::format("no process is ever \"{}\": {}", identity.name, why),
                     "write what the process really has: mspctl policy explain --pid N shows it");
  }
}

void check_link(const std::string& at, const RuleIdentity& identity, Use use, Target target, Findings& findings) {
  if (!needs_link(identity) || !use.allowed) {
    return;
  }
  const std::string path = identity.exe_path.value_or("");
  const std::string name = identity.process_name.value_or("");
  if (target == Target::kField) {
    findings.warning("identity-nobody", at,
                     fmt::format("no process is ever \"{}\": processName is the base name of the executable, which for "
                                 "\"{}\" is not \"{}\"",
                                 identity.name, path, name),
                     "write what the process really has: mspctl policy explain --pid N shows it");
  } else {
    findings.warning(
        "name-needs-link", at,
        fmt::format("\"{}\" is there only while \"{}\" is a link to a file called \"{}\"", identity.name, path, name),
        "write the path of the file itself, or leave processName out");
  }
}

/// Who is denied should not be narrowed: what helps an allow would open a deny.
void check_denied(const std::string& at, const RuleIdentity& identity, Findings& findings) {
  if (!is_anchored(identity)) {
    findings.warning("forgeable-identity", at,
                     fmt::format("nobody has to be \"{}\": a copy of the program is another program, and is not denied",
                                 identity.name),
                     "deny users, units or containers");
  }
}

void check_allowed(const std::string& at, const RuleIdentity& identity, Findings& findings) {
  if (!is_anchored(identity)) {
    findings.warning(
        "forgeable-identity", at,
        fmt::format("anybody can be \"{}\": every user may run that executable, or give a file of their own its name",
                    identity.name),
        "add userName or groupName; an executable narrows a user, it never replaces one");
  } else if (is_without_name(identity)) {
    findings.warning("forgeable-identity", at,
                     fmt::format("an empty processName narrows nothing: any program can be run without a name, so "
                                 "\"{}\" is whoever has its other fields",
                                 identity.name),
                     "write the name of the executable, or leave processName out");
  }
  if (const std::string_view name = interpreter(identity); !name.empty() && !has_place(identity)) {
    findings.warning("interpreter-identity", at,
                     fmt::format("{} runs whatever it is told to: \"{}\" is every such script of {}", name,
                                 identity.name, identity.user_name ? "this user" : "these callers"),
                     "name the systemd unit (openmsp.unit) where the agent is OpenMSP's, or give the service a user of "
                     "its own");
  }
}

void check_identity(const std::string& at, const RuleIdentity& identity, Use use, Target target, Findings& findings) {
  if (is_everybody(identity)) {
    findings.warning("identity-everybody", at,
                     fmt::format("the identity \"{}\" has no field, and so is every caller", identity.name),
                     "say who is meant: userName or groupName first");
    return;
  }
  check_nobody(at, identity, use, findings);
  check_link(at, identity, use, target, findings);
  if (use.allowed) {
    check_allowed(at, identity, findings);
  } else {
    check_denied(at, identity, findings);
  }
}

}  // namespace

void check_identities(const Linted& linted, Findings& findings) {
  if (!linted.item.rules || !linted.item.rules->identities) {
    return;
  }
  const std::vector<RuleIdentity>& identities = *linted.item.rules->identities;
  const auto used = uses(*linted.item.rules, linted.options.target);
  for (std::size_t i = 0; i < identities.size(); ++i) {
    const auto found = used.find(identities[i].name);
    const Use use = found == used.end() ? Use{.allowed = true} : found->second;
    RuleIdentity seen = identities[i];
    if (linted.options.target == Target::kField) {
      seen.openmsp = {};  // that agent does not see it
    }
    check_identity(linted.at("identities", i), seen, use, linted.options.target, findings);
    if (linted.wireserver && use.allowed && identities[i].user_name && identities[i].user_name != "root") {
      findings.warning("never-elevated", linted.at("identities", i) + "/userName",
                       fmt::format("WireServer and HostGAPlugin refuse everybody but uid 0, so \"{}\" is never allowed",
                                   identities[i].name),
                       "remove it, unless this is another name of uid 0");
    }
  }
}

}  // namespace msp::authoring
