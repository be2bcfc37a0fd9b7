// SPDX-License-Identifier: Apache-2.0
#include "tests/policy/random_policy.h"

#include <algorithm>
#include <array>
#include <memory>

#include "tests/policy/reference_text.h"

namespace msp::test {
namespace {

constexpr std::string_view kPathPieces[] = {"/",
                                            "/",
                                            "/",
                                            "/",
                                            "/",
                                            "/",
                                            "a",
                                            "a",
                                            "b",
                                            "A",
                                            "ab",
                                            "metadata",
                                            ".",
                                            "..",
                                            ";",
                                            ";x=1",
                                            "%2f",
                                            "%2F",
                                            "%2e",
                                            "%3B",
                                            "%41",
                                            "%25",
                                            "%252f",
                                            "~",
                                            "a-b",
                                            "k",
                                            "K",
                                            "/a",
                                            "/b",
                                            "/a/b",
                                            "/./",
                                            "//",
                                            "/x/..",
                                            "secure-channel",
                                            "Secure%2Dchannel"};
/// Refused in canonical matching, or read in another way outside ASCII.
constexpr std::string_view kOddPathPieces[] = {
    "%3F", "%3Fk=1&K2", "?",      "%C3%A9", "%C3%89", "%FF",     "%E4",    "%00",  "%zz",      "%4",        "%",
    "a b", "\u00e9",    "\u00c9", "\u212a", "\u0130", "a\u03a3", "%CE%A3", "\xff", "\xe4\xb8", "\U00010400"};
constexpr std::string_view kQueryPieces[] = {
    "&",   "&",   "&",   "&",      "&",      "=",      "=",      "=",      "k",        "K",     "k",
    "a",   "b",   "k=1", "k=v",    "K=V",    "%6b",    "%6B",    "%3D",    "%26",      "+",     "%2B",
    "%20", "%25", "1",   "2",      "v",      "k2",     "&k=1",   "&k=2",   "&K=v",     "x=y=z", "&&",
    "/",   "?",   "a b", "%C3%A9", "%c3%89", "\u00e9", "\u00c9", "\u212a", "%E2%84%AA"};
constexpr std::string_view kOddQueryPieces[] = {"%", "%zz", "%00", "%FF", "\xff", "%E4%B8", "%7f", "%4"};
constexpr std::string_view kKeys[] = {"k", "K", "k", "a", "b", "k2", "%6b", "a+b", "\u212a2", "\u00c9", "", "a b"};
constexpr std::string_view kValues[] = {"1", "2", "v", "V", "", "a+b", "1&k2=2", "1&K=v", "%41", "\u00c9", "x=y"};
constexpr std::string_view kRulePaths[] = {"/",     "/a",    "/a/",       "/A",      "/a/b",  "/ab",     "a",
                                           "",      "/a//b", "/a/./b",    "/a/../b", "/a;x",  "/a%2fb",  "/%41",
                                           "/a%zz", "/..",   "/metadata", "/\u00c9", "/K",    "/\u212a", "/a?k=1",
                                           "/a/b/", "//a",   "/.a",       "/a.",     "/a..b", "/\u0130", "/a\u03a3"};
constexpr std::string_view kWords[] = {"u0", "u1", "u2", "U1", "undefined", ""};
constexpr std::string_view kExes[] = {"/bin/a",        "/bin/b", "//bin//a/", "/bin/./a",
                                      "/bin/../bin/a", "bin/a",  "./bin/a",   ""};
constexpr std::string_view kUnits[] = {"a.service", "b.service", "user@1.service"};
constexpr std::string_view kCgroups[] = {"/s.slice/a.service", "/s.slice", "/user.slice", "/s.slice/a",
                                         "/s.slice/a.service/x"};
constexpr std::string_view kContainers[] = {"0123456789ab", "0123456789ac",
                                            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
constexpr std::string_view kPlaces[] = {
    "/",
    "/s.slice",
    "/s.slice/a.service",
    "/s.slice/a.service/x",
    "/s.slice/ab.service",
    "/s.slice/b.service",
    "/user.slice/user@1.service/a.service",
    "/s.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
    "/docker/0123456789acdef00123456789abcdef0123456789abcdef0123456789abcdef"};
constexpr std::string_view kModes[] = {"enforce",  "enforce", "enforce",  "enforce", "enforce", "enforce",
                                       "enforce",  "enforce", "Enforce",  "audit",   "Audit",   "disabled",
                                       "DISABLED", "other",   " enforce", ""};
constexpr std::string_view kAccess[] = {"deny", "deny", "allow", "Allow", "allow ", "", "other"};
constexpr std::string_view kMethods[] = {"GET", "GET",  "GET",    "GET",     "GET",   "GET",  "GET", "GET",
                                         "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "HEAD", "get", "TRACE"};

std::string name(std::string_view kind, std::size_t number) { return std::string(kind) + std::to_string(number); }

std::size_t usual_count(Choices& choices) {
  constexpr std::array<std::size_t, 8> kCounts{1, 0, 2, 2, 3, 4, 6, 9};
  return choices.one_of(kCounts);
}

/// Names and references. Where they may not repeat, each element has its own; some references dangle.
class Namer {
 public:
  Namer(Choices& choices, Names names) : choices_(choices), unique_(names == Names::kUnique || choices.chance(190)) {
    spare_ = choices.chance(70) ? 2 : 0;
  }

  std::string own(std::string_view kind, std::size_t index, std::size_t count) {
    return name(kind, unique_ ? index : choices_.below(count + 1));
  }
  std::string reference(std::string_view kind, std::size_t count) {
    return name(kind, choices_.below(std::max<std::size_t>(count + spare_, 1)));
  }
  std::vector<std::string> references(std::string_view kind, std::size_t count) {
    std::vector<std::string> out;
    for (std::size_t n = count + spare_ > 0 ? usual_count(choices_) : 0; n > 0; --n) {
      out.push_back(reference(kind, count));
    }
    return out;
  }

 private:
  Choices& choices_;
  bool unique_;
  std::size_t spare_;
};

/// `crowded`: of few paths, and with a query.
RulePrivilege random_privilege(Choices& choices, std::string own_name, bool crowded) {
  constexpr std::string_view kCrowdedPaths[] = {"/a", "/a", "/a", "/A", "/a/"};
  RulePrivilege out;
  out.name = std::move(own_name);
  if (crowded) {
    out.path = choices.one_of(kCrowdedPaths);
  } else {
    out.path = choices.chance(64) ? random_path(choices) : choices.one_of(kRulePaths);
  }
  if (choices.chance(40)) {
    out.openmsp.methods = {"GET"};
    if (choices.chance(128)) {
      out.openmsp.methods.emplace_back("PUT");
    }
  }
  if (!choices.chance(crowded ? 240 : 110)) {
    return out;
  }
  for (std::size_t n = 1 + choices.below(crowded ? 3 : 2); n > 0; --n) {
    const std::string key(choices.one_of(kKeys));
    // Of two keys that fold alike it is undefined which one stays.
    const bool is_new = std::ranges::none_of(
        out.query_parameters, [&](const auto& pair) { return reference::lower(pair.first) == reference::lower(key); });
    if (is_new) {
      out.query_parameters.emplace_back(key, choices.one_of(kValues));
    }
  }
  return out;
}

RuleIdentity random_identity(Choices& choices, std::string own_name) {
  RuleIdentity out;
  out.name = std::move(own_name);
  const auto maybe = [&](std::size_t of_256, const auto& pool) {
    return choices.chance(of_256) ? std::optional<std::string>(choices.one_of(pool)) : std::nullopt;
  };
  out.user_name = maybe(150, kWords);
  out.group_name = maybe(50, kWords);
  out.process_name = maybe(40, kWords);
  out.exe_path = maybe(60, kExes);
  if (choices.chance(60)) {
    out.openmsp.unit = maybe(128, kUnits);
    out.openmsp.cgroup = maybe(100, kCgroups);
    out.openmsp.container = maybe(60, kContainers);
    if (choices.chance(8)) {
      out.openmsp.exe_sha256 = std::string(64, 'a');
    }
  }
  return out;
}

bool http_lets_through(unsigned char c, bool in_query) {
  if (c <= 0x20 || c >= 0x7f || c == '#') {
    return false;
  }
  return in_query ? c != '"' && c != '<' && c != '>' : c != '<' && c != '>' && c != '?' && c != '`';
}

/// What http would refuse is escaped; some of the rest, too, or its letter case changed.
std::string bend(Choices& choices, std::string_view text, bool in_query) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
    if (!http_lets_through(byte, in_query) || choices.chance(6)) {
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      out += letter && choices.chance(16) ? static_cast<char>(byte ^ 0x20) : c;
    }
  }
  return out;
}

void be_like(identity::ConnectionIdentity& caller, const RuleIdentity& identity) {
  caller.user_name = identity.user_name.value_or(caller.user_name);
  caller.process_name = identity.process_name.value_or(caller.process_name);
  if (identity.group_name) {
    caller.group_names.push_back(*identity.group_name);
  }
  if (identity.exe_path) {
    caller.exe_rule_paths.push_back(*identity.exe_path);
  }
  const IdentityExtension& place = identity.openmsp;
  if (place.unit || place.cgroup || place.container) {
    const identity::CgroupPlace before = caller.cgroup ? *caller.cgroup : identity::CgroupPlace();
    identity::CgroupPlace now;
    now.path = place.cgroup.value_or(before.path);
    now.unit = place.unit.value_or(before.unit);
    now.container = place.container.value_or(before.container);
    caller.cgroup = std::make_shared<const identity::CgroupPlace>(std::move(now));
  }
}

/// The queries of many privileges, so that keys are repeated, without one of the keys.
std::string all_that_is_asked_for(Choices& choices, const std::vector<RulePrivilege>& privileges) {
  const std::string_view but = choices.chance(128) ? "z" : choices.one_of(kKeys);
  std::string out;
  for (const RulePrivilege& privilege : privileges) {
    for (const auto& [key, value] : privilege.query_parameters) {
      if (key != but) {
        out += "&" + key + "=" + value;
      }
    }
  }
  return out;
}

template <class Pool, class OddPool>
std::string joined(Choices& choices, const Pool& pool, const OddPool& odd, std::size_t most) {
  std::string out;
  for (std::size_t n = choices.below(most); n > 0; --n) {
    out += choices.chance(16) ? choices.one_of(odd) : choices.one_of(pool);
  }
  return out;
}

}  // namespace

std::string random_path(Choices& choices) { return "/" + joined(choices, kPathPieces, kOddPathPieces, 9); }
std::string random_query(Choices& choices) { return joined(choices, kQueryPieces, kOddQueryPieces, 12); }

RuleAssignment random_deny(Choices& choices, const RuleItem& item) {
  const auto count = [&](const auto& section) { return item.rules && section ? section->size() : 0; };
  const std::size_t roles = item.rules ? count(item.rules->roles) : 0;
  const std::size_t identities = item.rules ? count(item.rules->identities) : 0;
  RuleAssignment out;
  out.openmsp.deny = true;
  out.role = roles > 0 ? item.rules->roles->at(choices.below(roles)).name : "role0";
  for (std::size_t n = identities > 0 ? usual_count(choices) : 0; n > 0; --n) {
    out.identities.push_back(item.rules->identities->at(choices.below(identities)).name);
  }
  return out;
}

RuleItem random_item(Choices& choices, Names names) {
  RuleItem item;
  item.default_access = choices.one_of(kAccess);
  item.mode = choices.one_of(kModes);
  item.id = name("r", choices.below(3));
  if (choices.chance(6)) {
    return item;
  }
  Namer namer(choices, names);
  RuleSections& rules = item.rules.emplace();
  auto& privileges = rules.privileges.emplace();
  auto& roles = rules.roles.emplace();
  auto& identities = rules.identities.emplace();
  auto& assignments = rules.role_assignments.emplace();
  const bool crowded = choices.chance(60);
  const bool sharing = crowded && choices.chance(100);
  const std::size_t privilege_count = usual_count(choices) + (crowded ? 6 + 14 * choices.below(2) : 0);
  for (std::size_t i = 0; i < privilege_count; ++i) {
    privileges.push_back(random_privilege(choices, namer.own("p", i, privilege_count), crowded));
    if (sharing) {
      privileges.back().query_parameters.emplace_back("z", choices.chance(200) ? "1" : "2");
    }
  }
  const std::size_t role_count = usual_count(choices);
  for (std::size_t i = 0; i < role_count; ++i) {
    std::string own = namer.own("role", i, role_count);
    roles.push_back({.name = std::move(own), .privileges = namer.references("p", privilege_count)});
  }
  const bool many_callers = choices.chance(40);
  const std::size_t identity_count = usual_count(choices) + (many_callers ? policy::IdentityIndex::kFew + 4 : 0);
  for (std::size_t i = 0; i < identity_count; ++i) {
    identities.push_back(random_identity(choices, namer.own("i", i, identity_count)));
  }
  for (std::size_t n = usual_count(choices); n > 0; --n) {
    std::string role = namer.reference("role", role_count);
    std::vector<std::string> to = namer.references("i", identity_count);
    const AssignmentExtension effect{.deny = choices.chance(40), .dry_run = choices.chance(40)};
    if (many_callers) {
      std::ranges::transform(identities, std::back_inserter(to), &RuleIdentity::name);
    }
    assignments.push_back({.role = std::move(role), .identities = std::move(to), .openmsp = effect});
  }
  if (choices.chance(8)) {
    rules.identities.reset();
  }
  return item;
}

identity::ConnectionIdentity random_caller(Choices& choices, const RuleItem& item) {
  identity::ConnectionIdentity out;
  out.known = !choices.chance(6);
  out.direct = choices.chance(6);
  out.elevated = choices.chance(150);
  out.user_name = choices.one_of(kWords);
  for (std::size_t n = choices.below(3); n > 0; --n) {
    out.group_names.emplace_back(choices.one_of(kWords));
  }
  out.process_name = choices.one_of(kWords);
  for (std::size_t n = choices.below(3); n > 0; --n) {
    out.exe_rule_paths.emplace_back(choices.one_of(kExes));
  }
  if (choices.chance(150)) {
    out.cgroup =
        std::make_shared<const identity::CgroupPlace>(identity::place_in(std::string(choices.one_of(kPlaces))));
  }
  out.groups.assign(out.group_names.size() + choices.below(8) / 7, 0);
  out.more_groups = choices.chance(8);
  if (item.rules && item.rules->identities && !item.rules->identities->empty() && choices.chance(150)) {
    be_like(out, choices.one_of(*item.rules->identities));
  }
  return out;
}

reference::Request random_request(Choices& choices, const RuleItem& item) {
  constexpr std::string_view kEnds[] = {"", "", "", "/", "x", "/x", "/b/c", "%2fx", "/..", ";x"};
  reference::Request out;
  std::string path = random_path(choices);
  std::string query = choices.chance(150) ? random_query(choices) : std::string();
  if (item.rules && item.rules->privileges && !item.rules->privileges->empty() && !choices.chance(40)) {
    const RulePrivilege& privilege = choices.one_of(*item.rules->privileges);
    path = privilege.path + std::string(choices.one_of(kEnds));
    if (!choices.chance(30)) {
      for (const auto& [key, value] : privilege.query_parameters) {
        const std::string pair = key + "=" + value;
        query =
            choices.chance(128) ? query + (query.empty() ? "" : "&") + pair : pair + (query.empty() ? "" : "&") + query;
      }
    }
  }
  if (item.rules && item.rules->privileges && !item.rules->privileges->empty() && choices.chance(40)) {
    query += all_that_is_asked_for(choices, *item.rules->privileges);
  }
  if (choices.chance(20) && !query.empty()) {
    query += "&" + query;  // the same pairs again; a reading that asks for each of them asks too often
  }
  out.path = bend(choices, path, false);
  out.path = out.path.starts_with('/') ? out.path : "/" + out.path;
  out.query = bend(choices, query, true);
  out.service = choices.one_of(
      std::array{Service::kImds, Service::kImds, Service::kImds, Service::kWireServer, Service::kHostGaPlugin});
  out.method = choices.one_of(kMethods);
  out.exempt = choices.chance(10);
  return out;
}

}  // namespace msp::test
