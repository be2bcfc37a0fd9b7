// SPDX-License-Identifier: Apache-2.0
#include "authoring/reading.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "policy/fold.h"
#include "request/arena.h"
#include "request/canonical_path.h"
#include "request/canonical_query.h"

namespace msp::authoring {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string decoded_lower(std::string_view raw) {
  std::pmr::string out;
  policy::append_decoded_lower(raw, out);
  return std::string(out);
}

void add_legacy_pairs(std::string_view query, Pairs& out) {
  for (std::size_t at = 0; at <= query.size();) {
    const std::size_t end = std::min(query.find('&', at), query.size());
    const std::string_view part = query.substr(at, end - at);
    const std::size_t equals = std::min(part.find('='), part.size());
    if (equals != 0) {
      out.emplace_back(decoded_lower(part.substr(0, equals)),
                       decoded_lower(part.substr(std::min(part.size(), equals + 1))));
    }
    at = end + 1;
  }
}

/// Of keys that fold to the same, the last in the order of bytes stays.
std::map<std::string, std::string> folded_query(const RulePrivilege& privilege) {
  std::map<std::string, std::string> by_key;
  for (const auto& [key, value] : privilege.query_parameters) {
    by_key[key] = value;
  }
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : by_key) {
    out[policy::lower(key)] = policy::lower(value);
  }
  return out;
}

/// "/a/b", without a slash at the end.
std::string path_text(const request::CanonicalPath& path) {
  std::string out;
  for (const std::string_view segment : path.segments) {
    out += '/';
    out += segment;
  }
  return out;
}

bool begins_with_segments(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

/// Segments of `wanted` that `found` does not share with it from the front.
std::size_t segments_missing(std::string_view wanted, std::string_view found) {
  const auto same = std::ranges::mismatch(wanted, found);
  const auto shared = static_cast<std::size_t>(same.in1 - wanted.begin());
  const std::string_view rest = wanted.substr(shared);
  return static_cast<std::size_t>(std::ranges::count(rest, '/')) + (rest.empty() || rest.front() == '/' ? 0 : 1);
}

Check path_check(std::string wanted, std::string found, bool met) {
  Check out{.what = "path", .wanted = std::move(wanted), .found = std::move(found), .met = met, .missing = 0};
  out.missing = met ? 0 : std::max<std::size_t>(1, segments_missing(out.wanted, out.found));
  return out;
}

}  // namespace

std::string_view to_string(Matcher matcher) { return matcher == Matcher::kLegacy ? "legacy" : "canonical"; }

Reading::Reading(Matcher matcher, const policy::RequestView& request) : matcher_(matcher), method_(request.method) {
  if (matcher == Matcher::kLegacy) {
    read_legacy(request);
  } else {
    read_canonical(request);
  }
}

void Reading::read_legacy(const policy::RequestView& request) {
  const std::string whole = decoded_lower(request.path);
  const std::size_t mark = std::min(whole.find('?'), whole.size());
  path_ = whole.substr(0, mark);
  add_legacy_pairs(request.query, query_);
  if (mark < whole.size()) {
    add_legacy_pairs(std::string_view(whole).substr(mark + 1), query_);
  }
}

void Reading::read_canonical(const policy::RequestView& request) {
  readable_ = request.canonical != nullptr && request.fault == request::Fault::kNone;
  if (!readable_) {
    return;
  }
  path_ = path_text(request.canonical->path);
  for (const request::QueryPair& pair : request.canonical->query.pairs) {
    query_.emplace_back(pair.key, pair.value);
  }
}

std::vector<Check> Reading::compare(const RulePrivilege& privilege) const {
  std::vector<Check> out = matcher_ == Matcher::kLegacy ? compare_legacy(privilege) : compare_canonical(privilege);
  if (const std::vector<std::string>& methods = privilege.openmsp.methods; !methods.empty()) {
    out.push_back({.what = "method",
                   .wanted = fmt::format("{}", fmt::join(methods, " or ")),
                   .found = method_,
                   .met = std::ranges::find(methods, method_) != methods.end()});
  }
  return out;
}

std::vector<Check> Reading::compare_legacy(const RulePrivilege& privilege) const {
  const std::string wanted = policy::lower(privilege.path);
  std::vector<Check> out{path_check(wanted, path_, path_.starts_with(wanted))};
  for (const auto& [key, value] : folded_query(privilege)) {
    const auto found = std::ranges::find(query_, key, &std::pair<std::string, std::string>::first);
    out.push_back({.what = "query " + key,
                   .wanted = value,
                   .found = found_values(key, true),
                   .met = found != query_.end() && found->second == value});
  }
  return out;
}

std::vector<Check> Reading::compare_canonical(const RulePrivilege& privilege) const {
  std::string query_text;
  for (const auto& [key, value] : folded_query(privilege)) {
    query_text += fmt::format("{}{}={}", query_text.empty() ? "" : "&", key, value);
  }
  const std::string lowered = policy::lower(privilege.path);
  request::Arena arena;
  request::CanonicalPath path;
  request::CanonicalQuery query;
  request::Fault fault = request::canonicalize_path(lowered, arena, path);
  if (fault == request::Fault::kNone) {
    fault = request::canonicalize_query(query_text, arena, query);
  }
  if (fault != request::Fault::kNone || !readable_) {
    const std::string why = fmt::format("{} (no canonical form: {})", privilege.path, request::canon_name(fault));
    return {path_check(fault == request::Fault::kNone ? path_text(path) : why, readable_ ? path_ : "no canonical form",
                       false)};
  }
  const std::string wanted = path_text(path);
  std::vector<Check> out{
      path_check(wanted.empty() ? "/" : wanted, path_.empty() ? "/" : path_, begins_with_segments(path_, wanted))};
  for (auto pair = query.pairs.begin(); pair != query.pairs.end();) {
    const std::string_view key = pair->key;
    Check check{.what = fmt::format("query {}", key), .wanted = {}, .found = found_values(key, false), .met = false};
    for (; pair != query.pairs.end() && pair->key == key; ++pair) {
      check.wanted += fmt::format("{}{}", check.wanted.empty() ? "" : " or ", pair->value);
      check.met = check.met || std::ranges::any_of(query_, [&](const auto& has) {
                    return has.first == key && has.second == pair->value;
                  });
    }
    out.push_back(std::move(check));
  }
  return out;
}

std::string Reading::found_values(std::string_view key, bool first_only) const {
  std::string out;
  bool any = false;
  for (const auto& [name, value] : query_) {
    if (name == key && !(any && first_only)) {
      out += any ? ", " : "";
      out += value;
      any = true;
    }
  }
  return any ? out : "no such parameter";
}

}  // namespace msp::authoring
