// SPDX-License-Identifier: Apache-2.0
#include "authoring/possible.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "authoring/rule_forms.h"
#include "policy/exe_path.h"
#include "policy/fold.h"

namespace msp::authoring {
namespace {

using identity::CgroupPlace;
using identity::ConnectionIdentity;
using Texts = std::vector<std::string>;
using Place = std::shared_ptr<const CgroupPlace>;

constexpr std::string_view kRedacted = "redacted";

/// What the identities ask for that this caller may be.
struct Wanted {
  std::set<std::string> groups;
  std::set<std::string> executables;
  std::set<std::string> units;
  std::set<std::string> cgroups;
  std::set<std::string> containers;
};

bool may_concern(const policy::IdentityRule& rule, const ConnectionIdentity& caller) {
  return (!rule.user || caller.user_name.empty() || *rule.user == caller.user_name) &&
         (!rule.process || *rule.process == caller.process_name);
}

bool is_known_path(const ConnectionIdentity& caller, const std::string& path) {
  return std::ranges::any_of(caller.exe_rule_paths,
                             [&](const std::string& known) { return policy::same_components(known, path); });
}

void collect(const policy::IdentityRule& rule, const ConnectionIdentity& caller, Wanted& out) {
  if (!may_concern(rule, caller)) {
    return;
  }
  if (rule.group) {
    out.groups.insert(*rule.group);
  }
  if (rule.exe && !is_known_path(caller, *rule.exe)) {
    out.executables.insert(*rule.exe);
  }
  if (rule.place) {
    const auto add = [](const std::optional<std::string>& text, std::set<std::string>& to) {
      if (text) {
        to.insert(*text);
      }
    };
    add(rule.place->unit, out.units);
    add(rule.place->cgroup, out.cgroups);
    add(rule.place->container, out.containers);
  }
}

/// None, each, and each two; all of these without `always` and with it.
std::vector<Texts> choices(const std::set<std::string>& from, const std::string* always) {
  std::vector<Texts> out{{}};
  for (auto one = from.begin(); one != from.end() && out.size() <= kMostPossible; ++one) {
    out.push_back({*one});
    for (auto other = std::next(one); other != from.end() && out.size() <= kMostPossible; ++other) {
      out.push_back({*one, *other});
    }
  }
  if (always != nullptr && from.contains(*always)) {
    const std::size_t without = out.size();
    for (std::size_t i = 0; i < without; ++i) {
      if (out[i].size() == 2 && std::ranges::find(out[i], *always) == out[i].end()) {
        out.push_back(out[i]);
        out.back().push_back(*always);
      }
    }
  }
  return out;
}

/// None of those asked for; each unit with each cgroup and container; and a cgroup that is gone.
std::vector<Place> places(const Wanted& wanted) {
  const auto with_none = [](const std::set<std::string>& from) {
    Texts out{""};
    out.insert(out.end(), from.begin(), from.end());
    return out;
  };
  std::vector<Place> out;
  for (const std::string& unit : with_none(wanted.units)) {
    for (const std::string& path : with_none(wanted.cgroups)) {
      for (const std::string& container : with_none(wanted.containers)) {
        if (out.size() > kMostPossible) {
          return out;
        }
        out.push_back(std::make_shared<const CgroupPlace>(
            CgroupPlace{.path = path.empty() ? "/" : path, .unit = unit, .container = container}));
      }
    }
  }
  out.push_back(nullptr);
  return out;
}

/// Not in the authority, which is no matter of rules.
bool has_lost_users(std::string_view target) {
  if (!target.starts_with('/')) {
    const std::size_t scheme = target.find("://");
    const std::size_t end = target.find_first_of("/?", scheme == std::string_view::npos ? 0 : scheme + 3);
    target.remove_prefix(std::min(end, target.size()));
  }
  // The last piece stands for all that followed it, where that was more than is kept.
  target = target.substr(0, target.find('#'));
  const bool ends_so = target.ends_with(kRedacted) && target.size() > kRedacted.size() &&
                       std::string_view("/?&;").contains(target[target.size() - kRedacted.size() - 1]);
  return ends_so || target.contains("redacted@") || target.contains("redacted%40");
}

}  // namespace

std::string Unsaid::text() const {
  std::string out;
  const auto add = [&](bool holds, std::string_view what) {
    if (holds) {
      out += out.empty() ? "" : ", ";
      out += what;
    }
  };
  add(groups, "groups");
  add(place, "unit, cgroup or container");
  add(executable, "whether the executable is that file");
  add(query, "a redacted value");
  add(cut, "what was cut");
  add(too_much, "too much to try");
  return out;
}

PossibleCallers possible_callers(const RequestLine& line, bool groups_known, const Versions& versions,
                                 const policy::IdentityRule* proven) {
  PossibleCallers out;
  ConnectionIdentity plain = make_caller(line.caller);
  if (!line.exe_rule.empty()) {
    plain.exe_rule_paths.push_back(line.exe_rule);
  }
  if (!line.from_log) {
    out.callers.push_back(std::move(plain));
    return out;
  }
  Wanted wanted;
  for (const policy::RuleSet* const rules : versions) {
    if (rules != nullptr) {
      for (const policy::IdentityRule& rule : rules->identities()) {
        collect(rule, plain, wanted);
      }
    }
  }
  const bool place_known = !line.caller.cgroup.empty();
  out.unsaid.groups = !groups_known && !wanted.groups.empty();
  out.unsaid.executable = !wanted.executables.empty();
  out.unsaid.place = !place_known && !(wanted.units.empty() && wanted.cgroups.empty() && wanted.containers.empty());
  const auto asks = [proven](auto member) {
    return proven != nullptr && proven->*member ? &*(proven->*member) : nullptr;
  };
  const std::vector<Texts> groups = out.unsaid.groups ? choices(wanted.groups, asks(&policy::IdentityRule::group))
                                                      : std::vector<Texts>{line.caller.groups};
  const std::vector<Texts> executables = choices(wanted.executables, asks(&policy::IdentityRule::exe));
  const std::vector<Place> where = out.unsaid.place ? places(wanted) : std::vector<Place>{plain.cgroup};
  out.unsaid.too_much = groups.size() > kMostPossible || executables.size() > kMostPossible ||
                        groups.size() * executables.size() > kMostPossible ||
                        groups.size() * executables.size() * where.size() > kMostPossible;
  if (out.unsaid.too_much) {
    out.callers.push_back(std::move(plain));
    return out;
  }
  for (const Texts& in : groups) {
    for (const Texts& found_to_be : executables) {
      for (const Place& place : where) {
        ConnectionIdentity& one = out.callers.emplace_back(plain);
        one.group_names = in;
        one.exe_rule_paths.insert(one.exe_rule_paths.end(), found_to_be.begin(), found_to_be.end());
        one.cgroup = place;
      }
    }
  }
  return out;
}

AskedQuery asked_query(const Versions& versions) {
  AskedQuery out;
  for (const policy::RuleSet* const rules : versions) {
    if (rules != nullptr) {
      for (const policy::Privilege& privilege : rules->privileges()) {
        for (const auto& [key, value] : privilege.legacy_query) {
          out[key].insert(value);
        }
      }
    }
  }
  return out;
}

bool may_be_redacted(std::string_view target) { return target.contains("=redacted") || has_lost_users(target); }

std::vector<std::string> possible_targets(std::string_view target, const AskedQuery& asked) {
  target = target.substr(0, target.find('#'));
  // What was there may have been separators, too.
  if (has_lost_users(target)) {
    return {};
  }
  const std::size_t query = target.find('?');
  std::vector<std::string> out{std::string(target.substr(0, query))};
  if (query == std::string_view::npos) {
    return out;
  }
  std::string_view rest = target.substr(query + 1);
  char before = '?';
  while (true) {
    const std::size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    const std::size_t equals = pair.find('=');
    std::vector<std::string> more{std::string(pair)};
    if (equals != std::string_view::npos && pair.substr(equals + 1) == kRedacted) {
      const std::string_view key = pair.substr(0, equals);
      const auto known =
          std::ranges::find_if(asked, [&](const auto& one) { return policy::equals_decoded_lower(key, one.first); });
      for (const std::string& value : known == asked.end() ? std::set<std::string>() : known->second) {
        more.push_back(std::string(key) + "=" + escape(value, false));
      }
    }
    if (out.size() * more.size() > kMostPossible) {
      return {};
    }
    std::vector<std::string> longer;
    for (const std::string& begin : out) {
      for (const std::string& next : more) {
        longer.push_back(fmt::format("{}{}{}", begin, before, next));
      }
    }
    out = std::move(longer);
    if (end == std::string_view::npos) {
      return out;
    }
    rest.remove_prefix(end + 1);
    before = '&';
  }
}

}  // namespace msp::authoring
